"""Voices: how they come in, who may see them, and how they end."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from consent_service.errors import InvalidInput
from consent_service.http.consent_api import Part
from consent_service.http.context import Api, Caller, In
from consent_service.http.errors import refusal_of
from consent_service.http.openapi import JSON_TEXT, WAV, json_body
from consent_service.http.schemas import (
    BeginEnrolmentBody,
    BeginStatementBody,
    CompleteEnrolmentBody,
    CompleteStatementBody,
    ContactAnswer,
    ContactBody,
    DoubtsAnswer,
    KeepDesignBody,
    ReasonBody,
    RetentionBody,
    ReviewBody,
    StatementAnswer,
    SweepBody,
    VoicesAnswer,
)
from consent_service.models import Challenge, UnderReview, Voice, VoiceHoldings

router = APIRouter(prefix="/v1/voices", tags=["voices"])
_Model = TypeVar("_Model", bound=BaseModel)


async def _read(request: Request, model: type[_Model], api: Api, caller: Caller) -> _Model:
    """A body that may hold recordings, bounded by the edge. It is read after the key was checked, so that a caller
    without a good one costs no upload; never as a framework's upload, which spools to a temporary file (DESIGN I6)."""
    await api.authenticate(caller)
    raw = await request.body()
    try:
        return await asyncio.to_thread(model.model_validate_json, raw)
    except ValidationError as exc:
        found = exc.errors(include_input=False, include_url=False, include_context=False)
        raise refusal_of(RequestValidationError(found), "application/json") from None


@router.get("")
async def list_voices(surface: In, caller: Caller) -> VoicesAnswer:
    """Those that the key may claim; all of them for who administers, reviews, audits or operates. And the preset
    speakers, where an engine runs."""
    voices = await surface.api.list_voices(caller)
    return VoicesAnswer(voices=voices, presets=list(await surface.presets()))


@router.get("/{voice_id}")
async def show_voice(voice_id: str, api: Api, caller: Caller) -> Voice:
    """One voice."""
    return await api.show_voice(caller, voice_id)


@router.post("/enrolments", status_code=201)
async def begin_enrolment(body: BeginEnrolmentBody, api: Api, caller: Caller) -> Challenge:
    """A sentence that the person reads aloud. Record it, then POST …/complete with both recordings. Where a contact is
    given, a link goes out to it. Needs `voice_admin`."""
    return await api.begin_enrolment(caller, **body.model_dump())


@router.post("/enrolments/{enrolment_id}/complete", openapi_extra=json_body(CompleteEnrolmentBody))
async def complete_enrolment(enrolment_id: str, request: Request, api: Api, caller: Caller) -> Voice:
    """Both recordings, in base64. Kept in memory, sealed, never written in the clear. The voice then waits for a
    reviewer. Needs `voice_admin`."""
    body = await _read(request, CompleteEnrolmentBody, api, caller)
    return await api.complete_enrolment(caller, enrolment_id, body.to_answer())


@router.get("/enrolments/{enrolment_id}/doubts")
async def doubts(enrolment_id: str, api: Api, caller: Caller) -> DoubtsAnswer:
    """Why a reviewer must look, for who enrols; of an enrolment or a further statement. Needs `voice_admin`."""
    return DoubtsAnswer(doubts=list(await api.doubts(caller, enrolment_id)))


@router.post("/designed", status_code=201, openapi_extra=json_body(KeepDesignBody))
async def keep_designed_voice(request: Request, surface: In, api: Api, caller: Caller) -> Voice:
    """Keep the voice of a registered clip of a one-off design: its reference is our own engine's output. Needs
    `voice_admin`."""
    body = await _read(request, KeepDesignBody, api, caller)
    reference = body.reference or await surface.find_clip(caller, body.clip_id)
    if reference is None:
        raise InvalidInput(
            "send the clip itself in `reference`: this service keeps none", code="reference_missing"
        )
    return await api.keep_designed_voice(
        caller, name=body.name, language=body.language, reference=reference, transcript=body.transcript,
        clip_id=body.clip_id,
    )  # fmt: skip


@router.post("/{voice_id}/statements", status_code=201)
async def begin_statement(voice_id: str, body: BeginStatementBody, api: Api, caller: Caller) -> Challenge:
    """A further statement, for a grantee or purpose that the enrolment does not cover. Needs `voice_admin`."""
    return await api.begin_statement(caller, voice_id, grantee=body.grantee, purpose=body.purpose)


@router.post("/statements/{statement_id}/complete", openapi_extra=json_body(CompleteStatementBody))
async def complete_statement(
    statement_id: str, request: Request, api: Api, caller: Caller
) -> StatementAnswer:
    """The recording, in base64. `counts`: at once; else it waits for a reviewer. Needs `voice_admin`."""
    body = await _read(request, CompleteStatementBody, api, caller)
    counts = await api.complete_statement(caller, statement_id, body.statement, body.note)
    return StatementAnswer(statement_id=statement_id, counts=counts)


@router.get("/{voice_id}/review")
async def under_review(voice_id: str, api: Api, caller: Caller) -> UnderReview:
    """What a reviewer decides on, and what the examination found. Needs `reviewer`."""
    return await api.under_review(caller, voice_id)


@router.get("/{voice_id}/review/{part}", response_class=Response, responses=WAV)
async def open_statement(voice_id: str, part: Part, api: Api, caller: Caller) -> Response:
    """What a reviewer must hear, while it waits for the decision; audited before it is read. Needs `reviewer`."""
    return Response(await api.open_statement(caller, voice_id, part), media_type="audio/wav")


@router.get("/{voice_id}/statement", response_class=Response, responses=WAV, deprecated=True)
async def open_statement_by_query(
    voice_id: str, api: Api, caller: Caller, part: Part = "statement"
) -> Response:
    """The same under its earlier name. Use `/review/{part}`."""
    return await open_statement(voice_id, part, api, caller)


@router.post("/{voice_id}/review")
async def review_voice(voice_id: str, body: ReviewBody, api: Api, caller: Caller) -> Voice:
    """Approve or refuse, by another key than the enroller's. Needs `reviewer`."""
    return await api.review_voice(caller, voice_id, approve=body.approve, note=body.note)


@router.post("/{voice_id}/contact", status_code=202)
async def propose_contact(voice_id: str, body: ContactBody, api: Api, caller: Caller) -> ContactAnswer:
    """Send the link by which a contact confirms itself; while one is confirmed, it must agree. Needs `voice_admin`."""
    return ContactAnswer(state=(await api.propose_contact(caller, voice_id, body.contact)).value)


@router.post("/{voice_id}/retention")
async def keep_voice_until(voice_id: str, body: RetentionBody, api: Api, caller: Caller) -> Voice:
    """When its retention period ends. Needs `voice_admin`."""
    return await api.keep_voice_until(caller, voice_id, body.until)


@router.get("/{voice_id}/holdings")
async def holdings(voice_id: str, api: Api, caller: Caller) -> VoiceHoldings:
    """What `decommission` would destroy. Needs `voice_admin`."""
    return await api.holdings(caller, voice_id)


@router.post("/{voice_id}/decommission")
async def decommission(voice_id: str, body: ReasonBody, api: Api, caller: Caller) -> Voice:
    """Irreversible: consents, key, recordings, clips and names. Call again where it was interrupted."""
    return await api.decommission(caller, voice_id, body.reason)


@router.get("/{voice_id}/certificate", response_class=Response, responses=JSON_TEXT)
async def certificate(voice_id: str, api: Api, caller: Caller) -> Response:
    """The signed certificate of its deletion, as it was signed; it verifies offline."""
    return Response(await api.certificate(caller, voice_id), media_type="application/json")


@router.post("/sweep")
async def sweep_voices(body: SweepBody, api: Api, caller: Caller) -> list[Voice]:
    """The voices whose retention period has passed: listed, or with `confirm` decommissioned."""
    return await api.sweep_voices(caller, confirm=body.confirm)


@router.post("/resume-decommissions")
async def resume_decommissions(api: Api, caller: Caller) -> list[Voice]:
    """Finish whatever was interrupted."""
    return await api.resume_decommissions(caller)
