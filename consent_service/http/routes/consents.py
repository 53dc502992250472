"""Consents."""

from __future__ import annotations

from fastapi import APIRouter, Response

from consent_service.http.context import Api, Caller
from consent_service.http.openapi import JSON_TEXT
from consent_service.http.schemas import ClipsLost, ConsentsAnswer, NarrowBody, ReasonBody, TermsBody
from consent_service.models import Consent, RecordedConsent, Revocation

router = APIRouter(prefix="/v1/consents", tags=["consents"])


@router.post("", status_code=201)
async def record_consent(body: TermsBody, api: Api, caller: Caller) -> RecordedConsent:
    """The answer holds the signed receipt and, this once, the consent token. Needs `voice_admin`."""
    return await api.record_consent(caller, body.voice_id, body.to_terms())


@router.get("")
async def list_consents(api: Api, caller: Caller, voice_id: str | None = None) -> ConsentsAnswer:
    """Of the tenant, or of one of its voices."""
    return ConsentsAnswer(consents=await api.list_consents(caller, voice_id))


@router.get("/{consent_id}")
async def show_consent(consent_id: str, api: Api, caller: Caller) -> Consent:
    """One consent, at its current version."""
    return await api.show_consent(caller, consent_id)


@router.get("/{consent_id}/receipt", response_class=Response, responses=JSON_TEXT)
async def receipt(consent_id: str, api: Api, caller: Caller) -> Response:
    """The signed receipt (ISO/IEC TS 27560:2023, JSON-LD), as it was signed."""
    return Response(await api.receipt(caller, consent_id), media_type="application/json")


@router.post("/{consent_id}/narrow")
async def narrow_consent(consent_id: str, body: NarrowBody, api: Api, caller: Caller) -> RecordedConsent:
    """Less of any axis, never more: widening is a new consent. The answer holds the new receipt and token. Needs
    `voice_admin`."""
    return await api.narrow_consent(caller, consent_id, body.to_narrowing())


@router.post("/{consent_id}/narrow/preview")
async def clips_lost(consent_id: str, body: NarrowBody, api: Api, caller: Caller) -> ClipsLost:
    """How many clips `narrow` would withdraw with these terms. Changes nothing. Needs `voice_admin`."""
    return ClipsLost(clips=await api.clips_lost(caller, consent_id, body.to_narrowing()))


@router.post("/{consent_id}/revoke")
async def revoke_consent(consent_id: str, body: ReasonBody, api: Api, caller: Caller) -> Revocation:
    """Immediate and irreversible, everywhere within a second. Needs `voice_admin`."""
    return await api.revoke_consent(caller, consent_id, body.reason)
