"""The four ways to ask for speech, each of which ends in `ClipService.create_clip` or `.stream`, and the voices that
may be asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from fastapi import APIRouter, Header, Response

from consent_service.http.consent_api import Caller as CallerValue
from consent_service.http.context import Source
from provenance.errors import FormatUnsupported
from provenance.formats.delivery import delivery
from provenance.labels.spoken import disclaimed
from serve_app.clips.service import Clip, ClipRequest
from serve_app.errors import RequestRefused
from serve_app.ingress.context import ApiKey, Context, Ctx, OptionalKey
from serve_app.ingress.openapi import AUDIO
from serve_app.ingress.schemas import (
    CustomVoiceBody,
    SpeakableVoice,
    SpeakableVoices,
    SpeechBody,
    VoiceCloneBody,
    VoiceDesignBody,
)
from serve_app.ingress.stream_response import ClipStreamResponse
from speech.text import prepare
from synthesis.voice import Design, LedgerVoice, Preset, VoiceRef, find_voice

router = APIRouter(tags=["speech"])

# Which parameter a refusal is about.
_PARAMETERS: Final = {
    "format_unsupported": "response_format",
    "sample_rate_unsupported": "sample_rate",
    "loudness_unsupported": "loudness",
}


@router.post("/v1/voice-clone", response_class=Response, responses=AUDIO)
async def voice_clone(body: VoiceCloneBody, ctx: Ctx, api_key: ApiKey) -> Response:
    """Speak in an enrolled voice, under a live consent for this purpose."""
    return await _create_clip(
        ctx, api_key, LedgerVoice(body.voice_id), body.text, body.language, body.instruct, body
    )


@router.post("/v1/custom-voice", response_class=Response, responses=AUDIO)
async def custom_voice(body: CustomVoiceBody, ctx: Ctx, api_key: ApiKey) -> Response:
    """Speak with a preset speaker of the model; no person's consent is needed."""
    async with _naming_presets(ctx, "speaker"):
        return await _create_clip(
            ctx, api_key, Preset(body.speaker), body.text, body.language, body.instruct, body
        )


@router.post("/v1/voice-design", response_class=Response, responses=AUDIO)
async def voice_design(body: VoiceDesignBody, ctx: Ctx, api_key: ApiKey) -> Response:
    """Speak in a voice described in words; no person stands behind it."""
    if not body.instruct.strip():
        raise RequestRefused("instruct_missing", "describe the voice in `instruct`", param="instruct")
    return await _create_clip(ctx, api_key, Design(), body.text, body.language, body.instruct, body)


@router.post("/v1/audio/speech", response_class=Response, responses=AUDIO)
async def audio_speech(
    body: SpeechBody, ctx: Ctx, api_key: ApiKey, x_consent_token: str | None = Header(default=None)
) -> Response:
    """OpenAI-compatible. `voice` is a preset speaker or the id of an enrolled voice."""
    if body.speed != 1.0:
        raise RequestRefused("speed_unsupported", "only speed 1.0 is supported", param="speed")
    if body.stream_format != "audio":
        raise RequestRefused(
            "streaming_unsupported", "only stream_format=audio is supported", param="stream_format"
        )
    voice = body.voice if isinstance(body.voice, str) else str(body.voice.get("id", ""))
    found = find_voice(voice, (await ctx.clips.engine_info()).speakers)
    token = body.consent_token or x_consent_token
    language = ctx.limits.default_language if body.language is None else body.language
    async with _naming_presets(ctx, "voice"):
        return await _create_clip(ctx, api_key, found, body.input, language, body.instructions, body, token)


@router.get("/v1/audio/voices")
async def speakable_voices(ctx: Ctx, api_key: OptionalKey, source: Source) -> SpeakableVoices:
    """What `voice` may be: the preset speakers, for anybody; with a key, also the voices that it may claim."""
    speakers = (await ctx.clips.engine_info()).speakers
    named = [SpeakableVoice(id=name, name=name) for name in speakers]
    if api_key is not None:
        own = await ctx.consents.list_voices(CallerValue(api_key, source))
        named += [SpeakableVoice(id=one.voice_id, name=one.name) for one in own if one.state == "active"]
    return SpeakableVoices(voices=named)


@asynccontextmanager
async def _naming_presets(ctx: Context, param: str) -> AsyncIterator[None]:
    """Whoever names a speaker that there is not learns which there are."""
    try:
        yield
    except RequestRefused as exc:
        if exc.code not in ("speaker_unknown", "voice_unknown"):
            raise
        message = exc.message
        if exc.code == "voice_unknown":  # the engine's own error for a speaker names them
            speakers = ", ".join((await ctx.clips.engine_info()).speakers)
            message = f"{message}; the preset speakers are {speakers}"
        raise RequestRefused(exc.code, message, param=param, kind=exc.kind) from None


async def _create_clip(
    ctx: Context,
    api_key: str,
    voice: VoiceRef,
    text: str,
    language: str,
    instruct: str,
    body: VoiceCloneBody | VoiceDesignBody | CustomVoiceBody | SpeechBody,
    consent_token: str | None = None,
) -> Response:
    try:
        wanted = delivery(body.response_format, body.sample_rate, body.loudness)
    except FormatUnsupported as exc:
        raise RequestRefused(exc.code, exc.message, param=_PARAMETERS[exc.code], kind=type(exc)) from None
    utterance = prepare(
        text, language, instruct, lexicon=body.lexicon, max_characters=ctx.limits.max_text_characters
    )
    spoken = ctx.clips.profile.spoken(utterance.language, asked=body.spoken_disclaimer)
    # After the caller's lexicon, which must not respell it; before the decision, which covers all that is said.
    utterance = replace(utterance, text=disclaimed(utterance.text, spoken))
    request = ClipRequest(
        api_key=api_key,
        voice=voice,
        utterance=utterance,
        purpose=body.purpose,
        consent_token=consent_token or getattr(body, "consent_token", None),
        seed=body.seed,
        territory=body.territory,
        channel=body.channel,
        delivery=wanted,
    )
    try:
        clip = await (ctx.clips.stream(request) if body.stream else ctx.clips.create_clip(request))
    except FormatUnsupported as exc:
        raise RequestRefused(exc.code, exc.message, param="stream", kind=type(exc)) from None
    return _audio(clip) if isinstance(clip, Clip) else ClipStreamResponse(clip)


def _audio(clip: Clip) -> Response:
    headers = {**clip.disclosure_headers, "X-Cache": "hit" if clip.cached else "miss"}
    return Response(clip.audio, media_type=clip.media_type, headers=headers)
