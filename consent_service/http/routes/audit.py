"""The audit log and its proofs, and the public keys that verify what this service signs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from consent_service.http.caller import Caller, Service
from consent_service.http.routes.clips import LARGEST, Index
from consent_service.http.schemas import base64_of
from consent_service.proofs.seams import KeyPurpose

router = APIRouter(prefix="/v1", tags=["audit"])
PathIndex = Annotated[int, Path(ge=0, le=LARGEST)]


@router.get("/audit/checkpoint", response_class=Response)
def checkpoint(service: Service, by: Caller) -> Response:
    """The signed head of the tenant's log (C2SP tlog-checkpoint). Needs `auditor` or `operator`."""
    return Response(service.log.checkpoint(by), media_type="text/plain; charset=utf-8")


@router.get("/audit/entries")
def entries(
    service: Service, by: Caller, start: Index = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> dict[str, Any]:
    """Leaves in order: canonical JSON, no personal data."""
    return {"start": start, "entries": service.log.entries(by, start, limit)}


@router.get("/audit/inclusion/{leaf}")
def inclusion(leaf: PathIndex, size: Index, service: Service, by: Caller) -> dict[str, Any]:
    """RFC 6962 §2.1.1: that leaf is in the tree of that size. Hashes in hex."""
    path = service.log.inclusion_proof(by, leaf, size)
    return {"leaf": leaf, "size": size, "path": [node.hex() for node in path]}


@router.get("/audit/consistency")
def consistency(first: Index, second: Index, service: Service, by: Caller) -> dict[str, Any]:
    """RFC 6962 §2.1.2: that the smaller tree is a prefix of the larger. Hashes in hex."""
    path = service.log.consistency_proof(by, first, second)
    return {"first": first, "second": second, "path": [node.hex() for node in path]}


@router.get("/audit/standings", response_class=Response)
def standings(service: Service, by: Caller) -> Response:
    """How every consent of the tenant stands now, signed."""
    return Response(service.exports.standings(by), media_type="application/json")


@router.get("/audit/trusted-keys", response_class=Response)
def trusted_keys(service: Service, by: Caller) -> Response:
    """The public keys of log, receipts and certificates, in the form in which the offline verifier takes them."""
    return Response(service.exports.trusted_keys(by), media_type="application/json")


@router.get("/public-keys")
def public_keys(service: Service) -> dict[str, dict[str, str]]:
    """What verifies grants, checkpoints and receipts: Ed25519, base64, by key id. For everybody."""
    return {
        purpose.value: {kid: base64_of(key) for kid, key in service.keys.public_keys(purpose).items()}
        for purpose in (KeyPurpose.GRANT, KeyPurpose.LOG, KeyPurpose.RECEIPT)
    }
