"""Clips that were made, and the public question: whose is this?"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from hashlib import sha256
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from consent_service.http.schemas import ClipAnswer
from provenance import container
from provenance.decoding.pool import LONGEST_SIDECAR
from provenance.errors import FormatUnsupported
from provenance.formats.delivery import Delivery, delivery
from provenance.labels.http import headers
from provenance.reading import read_manifest
from provenance.verdict import Integrity, Origin
from serve_app.clips.renditions import clip_and_form
from serve_app.errors import RequestRefused
from serve_app.ingress.context import ApiKey, Caller, Context, Ctx, OptionalKey
from serve_app.ingress.forms import is_form, read_form
from serve_app.ingress.openapi import AUDIO_IN_RANGES, raw_or_form_body
from serve_app.ingress.ranges import respond
from serve_app.ingress.schemas import Format, SampleRate

router = APIRouter(tags=["clips"])

MANIFEST: Final = "application/c2pa"
MANIFEST_LENGTH: Final = "X-Manifest-Length"
_CLIP: Final = "file"  # parts of a form
_MANIFEST: Final = "manifest"


@router.head("/v1/clips/{clip_id}", response_class=Response, include_in_schema=False)
@router.get("/v1/clips/{clip_id}", response_class=Response, responses=AUDIO_IN_RANGES)
async def clip(
    clip_id: str,
    request: Request,
    ctx: Ctx,
    api_key: ApiKey,
    response_format: Annotated[Format | None, Query()] = None,
    sample_rate: Annotated[SampleRate | None, Query()] = None,
) -> Response:
    """The clip itself, if its consent still stands; with `response_format`, the same clip in another form, under an id
    of its own: `X-Clip-Id`. `Range` gives a part of it (RFC 9110 §14). HEAD is answered as GET is, without the clip:
    nothing is handed out."""
    named, form = clip_and_form(clip_id)
    wanted = _wanted(response_format, sample_rate) or form
    hand_out = request.method != "HEAD"
    found = await (
        ctx.clips.fetch(api_key, named, hand_out=hand_out)
        if wanted is None
        else ctx.clips.renditions.fetch(api_key, named, wanted, hand_out=hand_out)
    )
    return respond(request, found.audio, found.media_type, found.audio_sha256, headers(found.clip_id))


@router.get(
    "/v1/clips/{clip_id}/manifest",
    response_class=Response,
    responses={200: {"content": {MANIFEST: {}, "application/json": {}}}},
)
async def manifest(
    clip_id: str, ctx: Ctx, api_key: ApiKey, accept: str | None = Header(default=None)
) -> Response:
    """The clip's C2PA manifest store; with `Accept: application/json`, how it validates now: state, codes, assertion.

    The first is what a C2PA reader gets that follows a clip's `Link` header.
    """
    named, form = clip_and_form(clip_id)
    found = await (
        ctx.clips.manifest(api_key, named)
        if form is None
        else ctx.clips.renditions.manifest(api_key, named, form)
    )
    store = found.manifest or container.manifest_store(found.audio)
    if store is None:
        raise RequestRefused("not_found", "the clip carries no manifest that can be read")
    if "application/json" not in (accept or ""):
        return Response(store, media_type=MANIFEST)
    reading = await asyncio.to_thread(read_manifest, found.audio, ctx.trust, sidecar=found.manifest)
    if reading is None:
        raise RequestRefused("not_found", "the clip carries no manifest that can be read")
    return JSONResponse(asdict(reading))


@router.get("/v1/clips/{clip_id}/record")
async def clip_record(clip_id: str, ctx: Ctx, caller: Caller) -> ClipAnswer:
    """What the register holds of the clip, and whether its consent stands; also for withdrawn clips."""
    named, _ = clip_and_form(clip_id)
    found, standing = await ctx.consents.clip_record(caller, named)
    return ClipAnswer.of(found, standing)


@router.post(
    "/v1/verify",
    openapi_extra={
        "requestBody": raw_or_form_body("audio/wav", "application/octet-stream", parts=(_CLIP, _MANIFEST)),
        "parameters": [
            {"name": MANIFEST_LENGTH, "in": "header", "required": False, "schema": {"type": "integer"}}
        ],
    },
)
async def verify(request: Request, ctx: Ctx, api_key: OptionalKey) -> dict[str, Any]:
    """Send a clip as the raw body. A detached manifest goes before it, and its length in bytes into
    `X-Manifest-Length`. Or send a form: the clip in `file`, its detached manifest in `manifest`.

    Anonymous callers learn origin and integrity, a limited number of times; a caller with a key
    that may see the clip's record also learns its standing, with evidence."""
    if api_key is None:
        ctx.anonymous.acquire(request.scope)
        may_read = False
    else:
        # Who it is comes before any work: a made-up key would get around the limit on anonymous callers.
        may_read = await _may_see(ctx, api_key, "")
    sidecar, data = await _clip_of(request)
    verdict = await ctx.examiners.verify(ctx.auditor if may_read else ctx.verifier, data, sidecar)
    if api_key is None or not may_read or not verdict.names:  # of no clip of ours, only the public answer
        return verdict.public().to_json()
    for clip_id in verdict.names:
        if not await _may_see(ctx, api_key, clip_id):
            return verdict.public().to_json()  # not this caller's clip: the public answer
    if verdict.integrity is Integrity.STRIPPED and verdict.origin is Origin.OURS:
        kept = await _kept_manifest(ctx, api_key, verdict.names[0], data)
        if kept is not None:
            verdict = await ctx.examiners.verify(ctx.auditor, data, kept)
    return verdict.to_json()


async def _clip_of(request: Request) -> tuple[bytes | None, bytes]:
    """(detached manifest, clip), from a form or from the raw body, which the edge has bounded."""
    content_type = request.headers.get("content-type")
    sidecar_size = _sidecar_size(request.headers.get(MANIFEST_LENGTH))
    body = await request.body()
    if is_form(content_type):
        parts = read_form(body, content_type or "")
        if _CLIP not in parts:
            raise RequestRefused("form_invalid", "send the clip in the part 'file'", param=_CLIP)
        sidecar = parts.get(_MANIFEST)
        if sidecar is not None and not 0 < len(sidecar) <= LONGEST_SIDECAR:
            raise _manifest_length(_MANIFEST)
        return sidecar, parts[_CLIP]
    if sidecar_size is None:
        return None, body
    if sidecar_size >= len(body):
        raise RequestRefused(
            "request_invalid", "the manifest's length leaves no clip after it", param=MANIFEST_LENGTH
        )
    return body[:sidecar_size], body[sidecar_size:]


async def _kept_manifest(ctx: Context, api_key: str, clip_id: str, data: bytes) -> bytes | None:
    """The detached manifest over these very bytes, of a clip that was recognised by its sound, in whatever form."""
    digest = await asyncio.to_thread(lambda: sha256(data).hexdigest())
    try:
        return (await ctx.clips.manifest(api_key, clip_id, digest)).manifest
    except RequestRefused:
        return None  # other bytes, or no longer kept


async def _may_see(ctx: Context, api_key: str, clip_id: str) -> bool:
    """Whether the key's holder may read the record of this clip; of clips at all, for "". Raises RequestRefused for
    a key that is none."""
    try:
        await ctx.gate.clip_for(api_key, clip_and_form(clip_id)[0])
    except RequestRefused as exc:
        if exc.code == "clip_unknown":
            return not clip_id
        if exc.code == "permission_denied":
            return False
        raise
    return True


def _wanted(response_format: str | None, sample_rate: int | None) -> Delivery | None:
    if response_format is None:
        if sample_rate is not None:
            raise RequestRefused("request_invalid", "say in which `response_format`", param="response_format")
        return None
    try:
        return delivery(response_format, sample_rate)
    except FormatUnsupported as exc:
        param = "response_format" if exc.code == "format_unsupported" else "sample_rate"
        raise RequestRefused(exc.code, exc.message, param=param, kind=type(exc)) from None


def _sidecar_size(given: str | None) -> int | None:
    if given is None:
        return None
    if not given.isascii() or not given.isdigit() or not 0 < int(given[:9]) <= LONGEST_SIDECAR:
        raise _manifest_length(MANIFEST_LENGTH)
    return int(given[:9])


def _manifest_length(param: str) -> RequestRefused:
    return RequestRefused("request_invalid", f"a manifest holds 1 to {LONGEST_SIDECAR:,} bytes", param=param)
