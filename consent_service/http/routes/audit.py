"""The audit log and its proofs, and the public keys that verify what this service signs."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response

from consent_service.http.context import Api, Caller
from consent_service.http.openapi import JSON_TEXT, NOTE_TEXT
from consent_service.http.schemas import base64_of

router = APIRouter(prefix="/v1", tags=["audit"])

LARGEST: Final = 2**53 - 1  # of JSON's exact integers (RFC 8259 §6); a database's are larger
_MOST_ENTRIES: Final = 1000
Index = Annotated[int, Query(ge=0, le=LARGEST)]
PathIndex = Annotated[int, Path(ge=0, le=LARGEST)]


@router.get("/audit/checkpoint", response_class=Response, responses=NOTE_TEXT)
async def checkpoint(api: Api, caller: Caller) -> Response:
    """The signed head of the tenant's log (C2SP tlog-checkpoint). Needs `auditor` or `operator`."""
    return Response(await api.checkpoint(caller), media_type="text/plain; charset=utf-8")


@router.get("/audit/entries")
async def entries(
    api: Api, caller: Caller, start: Index = 0, limit: Annotated[int, Query(ge=1)] = 100
) -> dict[str, Any]:
    """Leaves in order: canonical JSON, no personal data. At most a thousand at a time."""
    return {"start": start, "entries": await api.log_entries(caller, start, min(limit, _MOST_ENTRIES))}


@router.get("/audit/inclusion/{leaf}")
async def inclusion(leaf: PathIndex, size: Index, api: Api, caller: Caller) -> dict[str, Any]:
    """RFC 6962 §2.1.1: that leaf is in the tree of that size. Hashes in hex."""
    path = await api.inclusion_proof(caller, leaf, size)
    return {"leaf": leaf, "size": size, "path": [node.hex() for node in path]}


@router.get("/audit/consistency")
async def consistency(first: Index, second: Index, api: Api, caller: Caller) -> dict[str, Any]:
    """RFC 6962 §2.1.2: that the smaller tree is a prefix of the larger. Hashes in hex."""
    path = await api.consistency_proof(caller, first, second)
    return {"first": first, "second": second, "path": [node.hex() for node in path]}


@router.get("/audit/standings", response_class=Response, responses=JSON_TEXT)
async def standings(api: Api, caller: Caller) -> Response:
    """How every consent of the tenant stands now, signed."""
    return Response(await api.signed_standings(caller), media_type="application/json")


@router.get("/audit/trusted-keys", response_class=Response, responses=JSON_TEXT)
async def trusted_keys(api: Api, caller: Caller) -> Response:
    """The public keys of log, receipts and certificates, in the form in which the offline verifier takes them."""
    return Response(await api.trusted_keys(caller), media_type="application/json")


@router.get("/public-keys")
async def public_keys(api: Api) -> dict[str, dict[str, str]]:
    """What verifies grants, checkpoints and receipts: Ed25519, base64, by key id. For everybody."""
    known = await api.public_keys()
    return {purpose: {kid: base64_of(key) for kid, key in keys.items()} for purpose, keys in known.items()}
