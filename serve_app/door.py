"""The way of one clip through the online door: may I? → say it → mark it → hand it over.

No framework here: `ingress` translates HTTP to `Say` and back. Audio exists outside a voice replica only between
`_speak` and the stamper, and leaves only from `_hand_over`.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from consent_service.grants import Utterance
from consent_service.models import Allow, Closing, Redeemed, SpeechClaim
from consent_service.proofs.seams import ClipRecord
from provenance.disclosure import Disclosure
from provenance.stamp import StampedClip, Stamper
from serve_app.cache import SingleFlight, cache_key, seed_of
from serve_app.clip_store import ClipHeader, ClipStore, StoredClip
from serve_app.errors import RequestRefused
from serve_app.metrics import Metrics
from serve_app.remote import Lost, Remote
from serve_app.voice import Order, Spoken
from speech.engine import SAMPLE_RATE, EngineInfo, Mode

WAV: Final = "audio/wav"


@dataclass(frozen=True, slots=True)
class Say:
    """One request, parsed and in canonical form."""

    api_key: str = field(repr=False)
    mode: Mode
    voice: str  # ledger voice id, speaker name, or ""
    utterance: Utterance
    purpose: str | None = None
    consent_token: str | None = field(default=None, repr=False)
    seed: int | None = None
    territory: str | None = None
    channel: str | None = None

    def claim(self) -> SpeechClaim:
        return SpeechClaim(
            mode=self.mode,
            voice_id=self.voice,
            language=self.utterance.language,
            said_digest=self.utterance.digest(),
            characters=self.utterance.characters,
            purpose=self.purpose,
            consent_token=self.consent_token,
            territory=self.territory,
            channel=self.channel,
        )


@dataclass(frozen=True, slots=True)
class Clip:
    """A stamped clip on its way out."""

    clip_id: str
    audio: bytes = field(repr=False)
    media_type: str
    seconds: float
    cached: bool
    disclosure_headers: dict[str, str]


class Door:
    """Lives in an ingress replica. `gate` and `voice` are the two other deployments."""

    def __init__(
        self,
        gate: Remote,
        voice: Remote,
        stamper: Stamper,
        store: ClipStore,
        metrics: Metrics,
        *,
        provider: str,
        version: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._gate = gate
        self._voice = voice
        self._stamper = stamper
        self._store = store
        self._metrics = metrics
        self._provider = provider
        self._version = version
        self._clock = clock
        self._flights: SingleFlight[Clip] = SingleFlight()
        self._engine: EngineInfo | None = None

    async def engine_info(self) -> EngineInfo:
        """What the voice replicas run; asked once."""
        if self._engine is None:
            self._engine = await self._voice.call("info")
        return self._engine

    async def say(self, request: Say) -> Clip:
        """Raises RequestRefused; otherwise the clip is stamped, registered and audited."""
        allowed = await self._may_i(request)
        key = cache_key(
            allowed.cache_scope, request.utterance, await self.engine_info(),
            seed=request.seed, profile="default", media_type=WAV,
        )  # fmt: skip
        tenant = allowed.grant.tenant
        if (stored := await asyncio.to_thread(self._store.find, tenant, key)) is not None:
            return await self._from_cache(stored, allowed)
        clip, leads = await self._flights.run(key, lambda: self._make(request, allowed, key))
        if leads:
            return clip
        # Others waited for the same clip: each uses a grant of its own and has an audit entry of its own.
        return await self.say(request)

    async def fetch(self, api_key: str, clip_id: str) -> tuple[bytes, ClipRecord]:
        """A stored clip of the caller's tenant. Raises RequestRefused when its consent no longer stands."""
        record, standing = await self._gate.call("clip_for", api_key, clip_id)
        if record.state != "live" or standing.value not in ("live", "not required"):
            raise RequestRefused("consent_revoked", "the consent behind this clip no longer stands")
        for uri in record.objects:
            stored = await asyncio.to_thread(self._store.at, uri)
            if stored is not None:
                data_key = await self._gate.call("clip_key", record.tenant, clip_id, stored.header.wrapped)
                return stored.open(data_key), record
        raise RequestRefused("not_found", "the clip is registered, but this service holds no copy of it")

    async def _may_i(self, request: Say) -> Allow:
        decision = await self._gate.call("authorize", request.api_key, request.claim())
        if not isinstance(decision, Allow):
            code = getattr(decision, "code", "internal_error")
            self._metrics.count("vouch_decisions_total", code=code)
            raise RequestRefused(code, getattr(decision, "reason", "refused"))
        self._metrics.count("vouch_decisions_total", code="ok")
        return decision

    async def _from_cache(self, stored: StoredClip, allowed: Allow) -> Clip:
        header = stored.header
        redeemed: Redeemed = await self._gate.call("redeem_cached", allowed.token, header.clip_id)
        data_key = await self._gate.call("clip_key", header.tenant, header.clip_id, header.wrapped)
        audio = stored.open(data_key)
        closing = Closing("completed", header.seconds, header.audio_sha256)
        await self._gate.call("close_clip", redeemed.grant.grant_id, closing)
        self._metrics.count("vouch_cache_hits_total")
        return Clip(
            header.clip_id, audio, header.media_type, header.seconds, True, _disclosed(header.clip_id)
        )

    async def _make(self, request: Say, allowed: Allow, key: str) -> Clip:
        seed = request.seed if request.seed is not None else seed_of(key)
        try:
            spoken = await self._speak(Order(allowed.token, request.utterance, seed))
        except Lost:
            # A replica died. Nothing has left it, so a second grant is as safe as the first.
            allowed = await self._may_i(request)
            spoken = await self._speak(Order(allowed.token, request.utterance, seed))
        return await self._hand_over(spoken, key, request.utterance.language)

    async def _speak(self, order: Order) -> Spoken:
        spoken: Spoken = await self._voice.call("synthesize", order)
        return spoken

    async def _hand_over(self, spoken: Spoken, key: str, language: str) -> Clip:
        grant = spoken.grant
        try:
            stamped = await asyncio.to_thread(self._stamp, spoken, language)
            data_key, wrapped = await self._gate.call("new_clip_key", grant.tenant, grant.clip_id)
            header = _header(spoken, stamped, wrapped)
            uri = await asyncio.to_thread(self._store.put, key, header, stamped.data, data_key)
        except Exception:
            closing = Closing("failed", reason="stamp_failed")
            await self._gate.call("close_clip", grant.grant_id, closing)
            raise
        record = self._record(spoken, stamped, uri)
        closing = Closing("completed", stamped.seconds, stamped.sha256)
        try:
            await self._gate.call("hand_over", grant.grant_id, record, closing)
        except RequestRefused:
            await asyncio.to_thread(self._store.remove, grant.tenant, key)
            raise
        return Clip(
            grant.clip_id, stamped.data, stamped.media_type, stamped.seconds, False, _disclosed(grant.clip_id)
        )

    def _stamp(self, spoken: Spoken, language: str) -> StampedClip:
        grant, engine = spoken.grant, spoken.engine
        disclosure = Disclosure(
            clip_id=grant.clip_id,
            voice_id=grant.voice_id,
            basis=grant.basis.value,
            consent_id=grant.consent_id,
            consent_version=grant.consent_version,
            purpose=grant.purpose,
            language=language,
            generated_at=self._clock(),
            provider=self._provider,
            system_version=self._version,
            engine=engine.name,
            model=engine.model,
            model_digest=engine.model_digest,
            is_clone=engine.is_clone,
            audit_leaf=spoken.audit_leaf,
            checkpoint=spoken.checkpoint,
        )
        began = self._clock()
        stamped = self._stamper.stamp(spoken.samples, SAMPLE_RATE, disclosure)
        self._metrics.observe("vouch_stamp_seconds", self._clock() - began)
        return stamped

    def _record(self, spoken: Spoken, stamped: StampedClip, uri: str) -> ClipRecord:
        grant = spoken.grant
        return ClipRecord(
            clip_id=grant.clip_id,
            tenant=grant.tenant,
            voice_id=grant.voice_id,
            basis=grant.basis.value,
            consent_id=grant.consent_id,
            consent_version=grant.consent_version,
            purpose=grant.purpose,
            grantee=grant.grantee,
            audit_leaf=spoken.audit_leaf,
            audio_sha256=stamped.sha256,
            seconds=stamped.seconds,
            created_at=self._clock(),
            objects=(uri,),
        )


def _header(spoken: Spoken, stamped: StampedClip, wrapped: bytes) -> ClipHeader:
    return ClipHeader(
        clip_id=spoken.grant.clip_id,
        tenant=spoken.grant.tenant,
        media_type=stamped.media_type,
        seconds=stamped.seconds,
        audio_sha256=stamped.sha256,
        wrapped_key=base64.b64encode(wrapped).decode(),
    )


def _disclosed(clip_id: str) -> dict[str, str]:
    return {
        "X-AI-Generated": "true",
        "X-Clip-Id": clip_id,
        "Link": f'</v1/clips/{clip_id}/manifest>; rel="c2pa-manifest"',
    }
