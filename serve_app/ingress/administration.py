"""Voices, consents and the audit log over HTTP. The gate checks the caller's role for each operation."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, is_dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import ValidationError

from consent_service.models import ConsentTerms
from serve_app.deadline import takes_its_time
from serve_app.errors import RequestRefused
from serve_app.gate.uploads import ReaderKey, SealedUpload, read_bounded, seal_upload
from serve_app.ingress.context import ApiKey, Context, Ctx
from serve_app.ingress.openapi import json_body
from serve_app.ingress.schemas import (
    BeginEnrolmentBody,
    BeginStatementBody,
    CompleteEnrolmentBody,
    CompleteStatementBody,
    ConsentBody,
    KeepDesignBody,
    NarrowBody,
    ReasonBody,
    ReviewBody,
)

router = APIRouter()

_Upload = TypeVar("_Upload", CompleteEnrolmentBody, CompleteStatementBody)
_RECORDINGS: Final = ("reference", "statement")
_LARGEST: Final = 2**53 - 1  # of JSON's exact integers (RFC 8259 §6); a database's are larger
Index = Annotated[int, Query(ge=0, le=_LARGEST)]
PathIndex = Annotated[int, Path(ge=0, le=_LARGEST)]


async def _ask(ctx: Context, api_key: str, operation: str, **arguments: Any) -> Any:
    return _plain(await ctx.gate.administer(api_key, operation, arguments))


def _plain(value: Any) -> Any:
    """Dataclasses to JSON-ready values."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


# voices -----------------------------------------------------------------------------------------------------------
@router.get("/v1/voices", tags=["voices"])
async def voices(ctx: Ctx, api_key: ApiKey) -> dict[str, Any]:
    """The voices of the caller's tenant, and the preset speakers."""
    info = await ctx.clips.engine_info()
    return {"voices": await _ask(ctx, api_key, "voices"), "presets": list(info.speakers)}


@router.get("/v1/voices/{voice_id}", tags=["voices"])
async def voice(voice_id: str, ctx: Ctx, api_key: ApiKey) -> dict[str, Any]:
    """One voice."""
    found: dict[str, Any] = await _ask(ctx, api_key, "voice", voice_id=voice_id)
    return found


@router.post("/v1/voices/enrolments", status_code=201, tags=["voices"])
async def begin_enrolment(body: BeginEnrolmentBody, ctx: Ctx, api_key: ApiKey) -> dict[str, Any]:
    """A sentence that the person must read aloud. Record it, then POST …/complete with both recordings."""
    challenge: dict[str, Any] = await _ask(ctx, api_key, "begin_enrolment", **body.model_dump())
    return challenge


@router.post(
    "/v1/voices/enrolments/{enrolment_id}/complete",
    tags=["voices"],
    openapi_extra={"requestBody": json_body(CompleteEnrolmentBody)},
)
async def complete_enrolment(
    enrolment_id: str, request: Request, ctx: Ctx, api_key: ApiKey
) -> dict[str, Any]:
    """Both recordings, in base64, with the transcript of the reference. The voice then waits for a reviewer.

    Read as a bounded raw body, never as a framework's upload, which would spool to a temporary file; sealed before
    it crosses a handle.
    """
    body, sealed = await _receive(CompleteEnrolmentBody, enrolment_id, request, ctx, api_key)
    takes_its_time()
    voice: dict[str, Any] = _plain(
        await ctx.gate.complete_enrolment(
            api_key, enrolment_id, sealed, transcript=body.transcript, note=body.note
        )
    )
    return voice


@router.post("/v1/voices/{voice_id}/statements", status_code=201, tags=["voices"])
async def begin_statement(
    voice_id: str, body: BeginStatementBody, ctx: Ctx, api_key: ApiKey
) -> dict[str, Any]:
    """A sentence for a voice that is enrolled, for another grantee or purpose. Record it, then POST …/complete."""
    challenge: dict[str, Any] = await _ask(
        ctx, api_key, "begin_statement", voice_id=voice_id, **body.model_dump()
    )
    return challenge


@router.post(
    "/v1/voices/statements/{statement_id}/complete",
    tags=["voices"],
    openapi_extra={"requestBody": json_body(CompleteStatementBody)},
)
async def complete_statement(
    statement_id: str, request: Request, ctx: Ctx, api_key: ApiKey
) -> dict[str, Any]:
    """The recorded statement, in base64. `counts`: at once; else it waits for a reviewer."""
    body, sealed = await _receive(CompleteStatementBody, statement_id, request, ctx, api_key)
    takes_its_time()
    counts = await ctx.gate.complete_statement(api_key, statement_id, sealed, note=body.note)
    return {"statement_id": statement_id, "counts": counts}


async def _receive(
    model: type[_Upload], enrolment_id: str, request: Request, ctx: Context, api_key: str
) -> tuple[_Upload, dict[str, SealedUpload]]:
    """Read, parse and seal what was recorded."""
    # Asked before anything is read: a caller without a good key costs us no body and no parsing.
    public_key, wrapped = await ctx.gate.upload_key(api_key, enrolment_id)
    limit = ctx.limits.max_upload_bytes
    raw = await read_bounded(request.stream(), limit, request.headers.get("content-length"))
    body = await asyncio.to_thread(_parse, model, raw)

    def seal() -> dict[str, SealedUpload]:
        parts = {part: getattr(body, part) for part in _RECORDINGS if hasattr(body, part)}
        return {p: seal_upload(public_key, wrapped, enrolment_id, p, audio) for p, audio in parts.items()}

    return body, await asyncio.to_thread(seal)


def _parse(model: type[_Upload], raw: bytes) -> _Upload:
    """Validate without ever quoting the input, which holds a recording."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RequestRefused(
            "request_invalid", f"{place or 'body'}: {first['msg']}", param=place or None
        ) from None


@router.post("/v1/voices/designed", status_code=201, tags=["voices"])
async def keep_designed_voice(body: KeepDesignBody, ctx: Ctx, api_key: ApiKey) -> dict[str, Any]:
    """Keep the voice of a clip that /v1/voice-design made: its reference is our own engine's output."""
    audio = (await ctx.clips.fetch(api_key, body.clip_id)).audio
    takes_its_time()
    kept: dict[str, Any] = _plain(
        await ctx.gate.keep_designed_voice(api_key, **body.model_dump(), reference=audio)
    )
    return kept


@router.get("/v1/voices/{voice_id}/review", tags=["voices"])
async def under_review(voice_id: str, ctx: Ctx, api_key: ApiKey) -> dict[str, Any]:
    """What a reviewer decides on: the sentence that must be heard, and what the examination found."""
    waiting: dict[str, Any] = await _ask(ctx, api_key, "under_review", voice_id=voice_id)
    return waiting


@router.get("/v1/voices/{voice_id}/statement", tags=["voices"], response_class=Response)
async def statement(
    voice_id: str, ctx: Ctx, api_key: ApiKey, part: Literal["statement", "reference"] = "statement"
) -> Response:
    """What a reviewer must hear, while it waits for their decision. Each time is in the audit log."""
    key = ReaderKey(voice_id, part)
    sealed = await ctx.gate.open_statement(api_key, voice_id, part, key.public_bytes)
    wav = await asyncio.to_thread(key.open, sealed)
    return Response(wav, media_type="audio/wav", headers={"Cache-Control": "no-store"})


@router.post("/v1/voices/{voice_id}/review", tags=["voices"])
async def review(voice_id: str, body: ReviewBody, ctx: Ctx, api_key: ApiKey) -> dict[str, Any]:
    """By a reviewer whose key is not the enroller's."""
    reviewed: dict[str, Any] = await _ask(
        ctx, api_key, "review_enrolment", voice_id=voice_id, **body.model_dump()
    )
    return reviewed


@router.post("/v1/voices/{voice_id}/decommission", tags=["voices"])
async def decommission(voice_id: str, body: ReasonBody, ctx: Ctx, api_key: ApiKey) -> dict[str, Any]:
    """Irreversible: revokes every consent and destroys the voice's key and recordings."""
    takes_its_time()
    gone: dict[str, Any] = _plain(await ctx.gate.decommission(api_key, voice_id, body.reason))
    return gone


@router.get(
    "/v1/voices/{voice_id}/certificate",
    tags=["voices"],
    response_class=Response,
    responses={200: {"content": {"application/json": {}}}},
)
async def certificate(voice_id: str, ctx: Ctx, api_key: ApiKey) -> Response:
    """The signed certificate of deletion of a voice that was decommissioned; it verifies offline."""
    return Response(await _ask(ctx, api_key, "certificate", voice_id=voice_id), media_type="application/json")


# consents ---------------------------------------------------------------------------------------------------------
@router.post("/v1/consents", status_code=201, tags=["consents"])
async def record_consent(body: ConsentBody, ctx: Ctx, api_key: ApiKey) -> dict[str, Any]:
    """Record a consent. The answer holds the signed receipt and, this once, the consent token."""
    terms = ConsentTerms(
        grantee=body.grantee,
        purposes=tuple(body.purposes),
        languages=tuple(body.languages),
        valid_from=body.valid_from,
        valid_until=body.valid_until,
        territories=tuple(body.territories),
        channels=tuple(body.channels),
        outside_boundary=body.outside_boundary,
        character_budget=body.character_budget,
    )
    recorded: dict[str, Any] = await _ask(ctx, api_key, "record_consent", voice_id=body.voice_id, terms=terms)
    return recorded


@router.get("/v1/consents", tags=["consents"])
async def consents(ctx: Ctx, api_key: ApiKey, voice_id: str | None = None) -> dict[str, Any]:
    """The consents of the caller's tenant."""
    return {"consents": await _ask(ctx, api_key, "consents", voice_id=voice_id)}


@router.get("/v1/consents/{consent_id}", tags=["consents"])
async def consent(consent_id: str, ctx: Ctx, api_key: ApiKey) -> dict[str, Any]:
    """One consent, at its current version."""
    found: dict[str, Any] = await _ask(ctx, api_key, "consent", consent_id=consent_id)
    return found


@router.get("/v1/consents/{consent_id}/receipt", tags=["consents"], response_class=Response)
async def receipt(consent_id: str, ctx: Ctx, api_key: ApiKey) -> Response:
    """The signed receipt (ISO/IEC TS 27560), as it was handed out."""
    return Response(await _ask(ctx, api_key, "receipt", consent_id=consent_id), media_type="application/json")


@router.post("/v1/consents/{consent_id}/narrow", tags=["consents"])
async def narrow(consent_id: str, body: NarrowBody, ctx: Ctx, api_key: ApiKey) -> dict[str, Any]:
    """Less of any axis, never more: widening is a new consent. The answer holds the new receipt and token."""
    narrowed: dict[str, Any] = await _ask(
        ctx, api_key, "narrow_consent", consent_id=consent_id, **body.model_dump()
    )
    return narrowed


@router.post("/v1/consents/{consent_id}/revoke", tags=["consents"])
async def revoke(consent_id: str, body: ReasonBody, ctx: Ctx, api_key: ApiKey) -> dict[str, Any]:
    """Immediate and irreversible, everywhere within a second."""
    revoked: dict[str, Any] = await _ask(
        ctx, api_key, "revoke_consent", consent_id=consent_id, reason=body.reason
    )
    return revoked


# audit ------------------------------------------------------------------------------------------------------------
@router.get("/v1/audit/checkpoint", tags=["audit"], response_class=Response)
async def checkpoint(ctx: Ctx, api_key: ApiKey) -> Response:
    """The signed head of the log (C2SP tlog-checkpoint)."""
    return Response(await _ask(ctx, api_key, "checkpoint"), media_type="text/plain")


@router.get("/v1/audit/entries", tags=["audit"])
async def entries(
    ctx: Ctx, api_key: ApiKey, start: Index = 0, limit: Annotated[int, Query(ge=1)] = 100
) -> dict[str, Any]:
    """Leaves in order: canonical JSON, no personal data."""
    return {
        "start": start,
        "entries": await _ask(ctx, api_key, "audit_entries", start=start, limit=min(limit, 1000)),
    }


@router.get("/v1/audit/inclusion/{leaf}", tags=["audit"])
async def inclusion(leaf: PathIndex, size: Index, ctx: Ctx, api_key: ApiKey) -> dict[str, Any]:
    """RFC 6962 §2.1.1: that leaf is in the tree of that size. Hashes in hex."""
    path = await _ask(ctx, api_key, "inclusion_proof", leaf=leaf, size=size)
    return {"leaf": leaf, "size": size, "path": [node.hex() for node in path]}


@router.get("/v1/audit/consistency", tags=["audit"])
async def consistency(first: Index, second: Index, ctx: Ctx, api_key: ApiKey) -> dict[str, Any]:
    """RFC 6962 §2.1.2: that the smaller tree is a prefix of the larger. Hashes in hex."""
    path = await _ask(ctx, api_key, "consistency_proof", first=first, second=second)
    return {"first": first, "second": second, "path": [node.hex() for node in path]}
