"""Clips that were made, and the public question: whose is this?"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from provenance.reading import read_manifest
from serve_app.context import ApiKey, Ctx, OptionalKey
from serve_app.errors import RequestRefused
from serve_app.openapi import raw_body
from serve_app.uploads import read_bounded

router = APIRouter(tags=["clips"])

# What would help to find the watermark or to imitate a clip, and helps nobody else.
_NOT_TOLD: Final = frozenset({"watermark", "fingerprint"})


@router.get("/v1/clips/{clip_id}", response_class=Response)
async def clip(clip_id: str, ctx: Ctx, api_key: ApiKey) -> Response:
    """The clip itself, if its consent still stands."""
    audio, record = await ctx.door.fetch(api_key, clip_id)
    return Response(
        audio, media_type="audio/wav", headers={"X-AI-Generated": "true", "X-Clip-Id": record.clip_id}
    )


@router.get("/v1/clips/{clip_id}/manifest")
async def manifest(clip_id: str, ctx: Ctx, api_key: ApiKey) -> dict[str, Any]:
    """The clip's C2PA manifest as it validates now: state, codes, and our assertion."""
    audio, _ = await ctx.door.fetch(api_key, clip_id)
    reading = await asyncio.to_thread(read_manifest, audio, ctx.trust)
    if reading is None:
        raise RequestRefused("not_found", "the clip carries no manifest that can be read")
    return asdict(reading)


@router.get("/v1/clips/{clip_id}/record")
async def record(clip_id: str, ctx: Ctx, api_key: ApiKey) -> dict[str, Any]:
    """What the register holds of the clip, and whether its consent stands; also for withdrawn clips."""
    found, standing = await ctx.gate.call("clip_for", api_key, clip_id)
    told = {name: value for name, value in asdict(found).items() if name not in _NOT_TOLD}
    return {**told, "standing": standing.value}


@router.post("/v1/verify", openapi_extra={"requestBody": raw_body("audio/wav", "application/octet-stream")})
async def verify(request: Request, ctx: Ctx, api_key: OptionalKey) -> dict[str, Any]:
    """Send a clip as the raw body. Anonymous callers learn origin and integrity; a caller with a key that may see
    the clip's record also learns its standing, with evidence."""
    data = await read_bounded(
        request.stream(), ctx.limits.max_upload_bytes, request.headers.get("content-length")
    )
    verdict = await ctx.examiners.verify(ctx.verifier if api_key is None else ctx.auditor, data)
    if api_key is None:
        return verdict.public().to_json()
    try:
        for clip_id in verdict.names or ("",):  # of no clip of ours, only the public answer
            await ctx.gate.call("clip_for", api_key, clip_id)
    except RequestRefused as exc:
        if exc.code in ("clip_unknown", "permission_denied"):
            return verdict.public().to_json()  # not this caller's clip: the public answer
        raise
    return verdict.to_json()
