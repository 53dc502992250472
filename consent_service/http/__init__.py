"""The consent service over HTTP: parse at the edge, ask the service, answer in one shape. No decision is made here.

routes            one file for each kind of object; `vouch up` serves the same ones
consent_api       what the routes ask, as one typed protocol; `local` answers it in this process
schemas           bodies
errors            the shape of an error, and the one table of which error has which HTTP status
edge              request ids, bounds, no traceback
context           who is asking
pages, openapi    the person's page, and the description of the interface
app, config       the service on its own; `config_errors` says what is wrong with a configuration
metrics           what Prometheus reads
"""
