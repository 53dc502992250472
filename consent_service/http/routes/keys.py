"""API keys."""

from __future__ import annotations

from fastapi import APIRouter

from consent_service.access import key_id_of
from consent_service.http.context import Api, Caller
from consent_service.http.schemas import BindBody, KeyMade, NewKeyBody
from consent_service.models import KeyInfo

router = APIRouter(prefix="/v1/keys", tags=["keys"])


@router.post("", status_code=201)
async def create_key(body: NewKeyBody, api: Api, caller: Caller) -> KeyMade:
    """A new key of the caller's tenant, shown this once. Needs `operator`."""
    api_key = await api.create_key(
        caller, grantee=body.grantee, roles=body.roles, claims=body.claims.to_claims(), label=body.label,
        expires_at=body.expires_at,
    )  # fmt: skip
    return KeyMade(key_id=key_id_of(api_key), api_key=api_key)


@router.get("")
async def list_keys(api: Api, caller: Caller) -> list[KeyInfo]:
    """Every key of the tenant, without its secret. Needs `operator`."""
    return await api.list_keys(caller)


@router.post("/{key_id}/revoke", status_code=204)
async def revoke_key(key_id: str, api: Api, caller: Caller) -> None:
    """At once, for grants that are out too. Needs `operator`."""
    await api.revoke_key(caller, key_id)


@router.post("/{key_id}/bindings", status_code=204)
async def bind_consent(key_id: str, body: BindBody, api: Api, caller: Caller) -> None:
    """Let a key speak under a consent without sending its token. Needs `voice_admin` or `operator`."""
    await api.bind_consent(caller, key_id, body.consent_id)
