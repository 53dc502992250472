"""Consents."""

from __future__ import annotations

from fastapi import APIRouter, Response

from consent_service.http.caller import Caller, Service
from consent_service.http.schemas import NarrowBody, ReasonBody, TermsBody
from consent_service.models import Consent, RecordedConsent, Revocation

router = APIRouter(prefix="/v1/consents", tags=["consents"])


@router.post("", status_code=201)
def record_consent(body: TermsBody, service: Service, by: Caller) -> RecordedConsent:
    """The answer holds the signed receipt and, this once, the consent token. Needs `voice_admin`."""
    return service.consents.record(by, voice_id=body.voice_id, terms=body.to_terms())


@router.get("")
def list_consents(service: Service, by: Caller, voice_id: str | None = None) -> list[Consent]:
    """Of the tenant, or of one of its voices."""
    return service.consents.list_all(by, voice_id)


@router.get("/{consent_id}")
def show_consent(consent_id: str, service: Service, by: Caller) -> Consent:
    """One consent, at its current version."""
    return service.consents.get(by, consent_id)


@router.get("/{consent_id}/receipt", response_class=Response)
def receipt(consent_id: str, service: Service, by: Caller) -> Response:
    """The signed receipt (ISO/IEC TS 27560:2023, JSON-LD), as it was signed."""
    return Response(service.consents.receipt(by, consent_id), media_type="application/json")


@router.post("/{consent_id}/narrow")
def narrow_consent(consent_id: str, body: NarrowBody, service: Service, by: Caller) -> RecordedConsent:
    """A new version within the terms of the old: widening is a new consent. Needs `voice_admin`."""
    return service.consents.narrow(by, consent_id, **body.model_dump())


@router.post("/{consent_id}/revoke")
def revoke_consent(consent_id: str, body: ReasonBody, service: Service, by: Caller) -> Revocation:
    """Immediate and irreversible. Needs `voice_admin`."""
    return service.consents.revoke(by, consent_id, body.reason)
