"""HTTP in, clips out; CPU only, and no secret of the ledger.

http                         the application
speech_routes, clip_routes   the routes of speech and of clips
schemas                      bodies
edge                         request ids, bounds, deadline, no traceback
failed_auth, anonymous       rate limits
examiners                    files that anyone may hand in
disclosures                  texts for players
openapi                      the description
"""
