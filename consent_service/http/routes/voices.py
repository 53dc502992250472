"""Voices: how they come in, who may see them, and how they end."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError

from consent_service.http.caller import Caller, Service
from consent_service.http.schemas import (
    BeginEnrolmentBody,
    BeginStatementBody,
    Body,
    CompleteEnrolmentBody,
    CompleteStatementBody,
    ContactAnswer,
    ContactBody,
    KeepDesignBody,
    ReasonBody,
    ReviewBody,
    StatementAnswer,
)
from consent_service.models import Challenge, UnderReview, Voice

router = APIRouter(prefix="/v1/voices", tags=["voices"])
_Model = TypeVar("_Model", bound=BaseModel)


class RetentionBody(Body):
    until: float | None = Field(description="Unix seconds; none: after the configured period.")


class SweepBody(Body):
    confirm: Annotated[bool, Field(description="False only lists what would go.")] = False


def _document(model: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI for a body that a route reads by itself."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def _read(request: Request, model: type[_Model]) -> _Model:
    """The body, after the caller was authenticated: a stranger costs us no upload. The edge bounds it."""
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as exc:
        raise RequestValidationError(exc.errors(include_input=False, include_url=False)) from None


@router.get("")
def list_voices(service: Service, by: Caller) -> list[Voice]:
    """Those that the key may claim; all of them for who administers, reviews, audits or operates."""
    return service.voices.list_all(by)


@router.get("/{voice_id}")
def show_voice(voice_id: str, service: Service, by: Caller) -> Voice:
    """One voice."""
    return service.voices.get(by, voice_id)


@router.post("/enrolments", status_code=201)
def begin_enrolment(body: BeginEnrolmentBody, service: Service, by: Caller) -> Challenge:
    """A sentence that the person reads aloud; a link to the contact goes out. Needs `voice_admin`."""
    return service.voices.begin_enrolment(by, **body.model_dump())


@router.post("/enrolments/{enrolment_id}/complete", openapi_extra=_document(CompleteEnrolmentBody))
async def complete_enrolment(enrolment_id: str, request: Request, service: Service, by: Caller) -> Voice:
    """Both recordings, in base64. Kept in memory, sealed, never written in the clear. Needs `voice_admin`."""
    body = await _read(request, CompleteEnrolmentBody)

    def complete() -> Voice:
        return service.voices.complete_enrolment(
            by, enrolment_id, reference=body.reference, transcript=body.transcript, statement=body.statement,
            note=body.note,
        )  # fmt: skip

    return await run_in_threadpool(complete)


@router.post("/designed", status_code=201, openapi_extra=_document(KeepDesignBody))
async def keep_designed_voice(request: Request, service: Service, by: Caller) -> Voice:
    """Keep the voice of a registered clip of a one-off design. Needs `voice_admin`."""
    body = await _read(request, KeepDesignBody)

    def keep() -> Voice:
        return service.voices.keep_designed(
            by, name=body.name, language=body.language, reference=body.reference, transcript=body.transcript,
            clip_id=body.clip_id,
        )  # fmt: skip

    return await run_in_threadpool(keep)


@router.post("/{voice_id}/statements", status_code=201)
def begin_statement(voice_id: str, body: BeginStatementBody, service: Service, by: Caller) -> Challenge:
    """A further statement, for a grantee or purpose that the enrolment does not cover. Needs `voice_admin`."""
    return service.voices.begin_statement(by, voice_id, grantee=body.grantee, purpose=body.purpose)


@router.post("/statements/{statement_id}/complete", openapi_extra=_document(CompleteStatementBody))
async def complete_statement(
    statement_id: str, request: Request, service: Service, by: Caller
) -> StatementAnswer:
    """The recording, in base64. Needs `voice_admin`."""
    body = await _read(request, CompleteStatementBody)

    def complete() -> bool:
        return service.voices.complete_statement(by, statement_id, statement=body.statement, note=body.note)

    return StatementAnswer(counts=await run_in_threadpool(complete))


@router.get("/{voice_id}/review")
def under_review(voice_id: str, service: Service, by: Caller) -> UnderReview:
    """What a reviewer decides on, and what the examination found. Needs `reviewer`."""
    return service.voices.under_review(by, voice_id)


@router.get(
    "/{voice_id}/review/{part}",
    response_class=Response,
    responses={200: {"content": {"audio/wav": {"schema": {"type": "string", "format": "binary"}}}}},
)
def open_statement(
    voice_id: str, part: Literal["statement", "reference"], service: Service, by: Caller
) -> Response:
    """What a reviewer must hear, while it waits for the decision; audited before it is read. Needs `reviewer`."""
    return Response(service.voices.open_statement(by, voice_id, part), media_type="audio/wav")


@router.post("/{voice_id}/review")
def review_voice(voice_id: str, body: ReviewBody, service: Service, by: Caller) -> Voice:
    """Approve or refuse, by another key than the enroller's. Needs `reviewer`."""
    return service.voices.review(by, voice_id, approve=body.approve, note=body.note)


@router.post("/{voice_id}/contact", status_code=202)
def propose_contact(voice_id: str, body: ContactBody, service: Service, by: Caller) -> ContactAnswer:
    """Send the link by which a contact confirms itself; while one is confirmed, it must agree. Needs `voice_admin`."""
    return ContactAnswer(state=service.subjects.propose_contact(by, voice_id, body.contact).value)


@router.post("/{voice_id}/retention")
def keep_voice_until(voice_id: str, body: RetentionBody, service: Service, by: Caller) -> Voice:
    """When its retention period ends. Needs `voice_admin`."""
    return service.deletion.keep_until(by, voice_id, body.until)


@router.post("/{voice_id}/decommission")
def decommission(voice_id: str, body: ReasonBody, service: Service, by: Caller) -> Voice:
    """Irreversible: consents, key, recordings, clips and names. Call again where it was interrupted."""
    return service.deletion.decommission(by, voice_id, body.reason)


@router.get("/{voice_id}/certificate", response_class=Response)
def certificate(voice_id: str, service: Service, by: Caller) -> Response:
    """The signed certificate of its deletion, as it was signed."""
    return Response(service.deletion.certificate(by, voice_id), media_type="application/json")


@router.post("/sweep")
def sweep_voices(body: SweepBody, service: Service, by: Caller) -> list[Voice]:
    """The voices whose retention period has passed: listed, or with `confirm` decommissioned."""
    return service.deletion.sweep_voices(by, confirm=body.confirm)


@router.post("/resume-decommissions")
def resume_decommissions(service: Service, by: Caller) -> list[Voice]:
    """Finish whatever was interrupted."""
    return service.deletion.resume(by)
