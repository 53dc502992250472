"""Tenants and their API keys: made, listed, revoked, bound to a consent (`service`). Roles are in
`consent_service.access`.
"""
