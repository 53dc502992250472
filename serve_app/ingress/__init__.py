"""HTTP in, clips out; CPU only, and no secret of the ledger.

http                         the application
speech_routes, clip_routes   the routes of speech and of clips; `stream_response` answers with a stream
schemas                      bodies
edge                         request ids, bounds, deadline, no traceback
caller                       whose request it is; `failed_auth` and `anonymous` limit it
examiners                    files that anyone may hand in
disclosures                  texts for players
openapi                      the description
"""
