"""The consent service over HTTP: parse at the edge, ask the service, answer in one shape. No decision is made
here.

    app       puts it together
    routes    one file for each kind of object
    schemas   bodies
    errors    the shape of an error, and which error has which HTTP status
    edge      request ids, bounds, no traceback
    config    of the service on its own
"""
