"""API keys."""

from __future__ import annotations

from fastapi import APIRouter

from consent_service.access import key_id_of
from consent_service.http.caller import Caller, Service
from consent_service.http.schemas import BindBody, KeyMade, NewKeyBody
from consent_service.models import KeyInfo

router = APIRouter(prefix="/v1/keys", tags=["keys"])


@router.post("", status_code=201)
def create_key(body: NewKeyBody, service: Service, by: Caller) -> KeyMade:
    """A new key of the caller's tenant, shown this once. Needs `operator`."""
    api_key = service.tenants.create_key(
        by, grantee=body.grantee, roles=body.roles, claims=body.claims.to_claims(), label=body.label,
        expires_at=body.expires_at,
    )  # fmt: skip
    return KeyMade(key_id=key_id_of(api_key), api_key=api_key)


@router.get("")
def list_keys(service: Service, by: Caller) -> list[KeyInfo]:
    """Every key of the tenant, without its secret. Needs `operator`."""
    return service.tenants.list_keys(by)


@router.post("/{key_id}/revoke", status_code=204)
def revoke_key(key_id: str, service: Service, by: Caller) -> None:
    """At once, for grants that are out too. Needs `operator`."""
    service.tenants.revoke_key(by, key_id)


@router.post("/{key_id}/bindings", status_code=204)
def bind_consent(key_id: str, body: BindBody, service: Service, by: Caller) -> None:
    """Let a key speak under a consent without sending its token. Needs `voice_admin` or `operator`."""
    service.tenants.bind_consent(by, key_id, body.consent_id)
