"""Tenants and their API keys: who may call, and what a caller may claim."""

from __future__ import annotations

from collections.abc import Sequence

from consent_service.core import Core
from consent_service.models import Claims, KeyInfo, Principal, Role
from consent_service.tenants import keys


class Tenants:
    """`ConsentService.tenants`. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def bootstrap(self, tenant: str, *, api_key: str | None = None) -> str:
        """First use only: create the tenant and an operator+voice_admin key (the first tenant's: the installation's
        too); returns the API key, shown once.
        Raises Conflict when the tenant exists. Local operation on the machine that holds the key files.
        `api_key`: one that `access.NewKey.mint` made, for a caller who must keep it before it counts."""
        return keys.bootstrap(self._core, tenant, api_key)

    def create_key(
        self,
        by: Principal,
        *,
        grantee: str,
        roles: Sequence[Role],
        claims: Claims,
        label: str = "",
        expires_at: float | None = None,
    ) -> str:
        """A new API key of the caller's tenant ("vouch_" + id + secret). Stored hashed. Needs OPERATOR."""
        return keys.create_key(
            self._core, by, grantee=grantee, roles=roles, claims=claims, label=label, expires_at=expires_at
        )

    def revoke_key(self, by: Principal, key_id: str) -> None:
        """Effective at once, also for grants that are out. Idempotent. Needs OPERATOR."""
        keys.revoke_key(self._core, by, key_id)

    def list_keys(self, by: Principal) -> list[KeyInfo]:
        """Every key of the tenant, without its secret. Needs OPERATOR."""
        return keys.list_keys(self._core, by)

    def bind_consent(self, by: Principal, key_id: str, consent_id: str) -> None:
        """Make a consent the default of a key for its voice, so that a request needs no consent_token."""
        keys.bind(self._core, by, key_id, consent_id)
