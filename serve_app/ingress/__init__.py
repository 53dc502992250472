"""HTTP in, clips out; CPU only, and no secret of the ledger.

http                         the application
speech_routes, clip_routes   the routes of speech and of clips; all others are `consent_service.http.routes`
stream_response, ranges      a stream, or a part of a stored clip, as an answer
forms                        uploads in a form, read in memory
schemas                      bodies
edge                         request ids, bounds, deadline, no traceback
caller                       whose request it is; `failed_auth` and `anonymous` limit it
examiners                    files that anyone may hand in
disclosures                  texts for players
openapi                      the description
"""
