"""The online door: Ray Serve with a CPU ingress, a consent gate and voice replicas.

    ingress   HTTP: routes, edge, schemas, limits for callers
    clips     the way of one clip: cache key, cache, streams, stamping, publishing, other formats
    gate      the deployment that opens ledger, vault and keys, and its clients
    voice     the deployment with an engine, and its knowledge of revocations

    app       the deployments; Ray's decorators are here alone
    wiring    the parts put together, with or without Ray
    handles   typed calls between deployments, made from `gate.protocol` and `voice.protocol`; `call_signing` signs them
    errors    which code has which HTTP status, on top of `consent_service.http.errors`
    config    settings
    runtime   start and stop of the application

Plain classes hold the logic.
"""
