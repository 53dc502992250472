"""Tenants and their API keys: made, listed, revoked, bound to a consent (`keys`). Roles are in
`consent_service.access`.
"""
