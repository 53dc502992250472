"""The way of one clip through the online door: decide → synthesize → stamp → hand over.

No framework here: `ingress` translates HTTP to `ClipRequest` and back. Audio exists outside a voice replica only
between `_synthesize` and the stamper, and leaves only from `_hand_over`, `_from_cache`, `fetch`, `renditions` and,
marked already, from `stream`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Final, cast

from consent_service.grants import Utterance
from consent_service.models import Allow, Closing, Deny, SpeechClaim
from provenance.disclosure import Disclosure
from provenance.formats.delivery import AS_SPOKEN, Delivery
from provenance.formats.live import check_live
from provenance.labels.http import headers
from provenance.profiles.profile import DEFAULT, Profile, load_profile
from provenance.stamp import StampedClip, Stamper
from serve_app.clips.cache import SingleFlight, cache_key, seed_of
from serve_app.clips.publisher import ClipPublisher, Fetched
from serve_app.clips.renditions import Renditions
from serve_app.clips.store import ClipStore, StoredClip
from serve_app.clips.stream import ClipStream, closing_of_stream
from serve_app.errors import RequestRefused
from serve_app.gate.client import gates_own_refusals
from serve_app.gate.protocol import Gate
from serve_app.handles import PeerLost, gate_failed
from serve_app.metrics import Metrics
from serve_app.voice.protocol import VoiceReplica
from serve_app.voice.worker import StartedSynthesis, UnstampedClip
from speech.engine import SAMPLE_RATE, EngineInfo
from synthesis.disclosure import Deployment, disclosure_for
from synthesis.outcome import closing_for
from synthesis.request import speech_claim
from synthesis.voice import VoiceRef

log = logging.getLogger("vouch.serve")

# Refusals that concern the grant of the one who led a flight, and not those who joined it.
_OF_ONE_GRANT: Final = frozenset({"key_revoked", "grant_expired", "grant_used"})


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """One request, parsed and in canonical form."""

    api_key: str = field(repr=False)
    voice: VoiceRef
    utterance: Utterance
    purpose: str | None = None
    consent_token: str | None = field(default=None, repr=False)
    seed: int | None = None
    territory: str | None = None
    channel: str | None = None
    delivery: Delivery = AS_SPOKEN

    def claim(self) -> SpeechClaim:
        return speech_claim(
            self.voice,
            self.utterance,
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
    manifest: bytes | None = field(default=None, repr=False)  # None: the file carries its own


class ClipService:
    """Lives in an ingress replica. `gate` and `voice` are the two other deployments."""

    def __init__(
        self,
        gate: Gate,
        voice: VoiceReplica,
        stamper: Stamper,
        store: ClipStore,
        metrics: Metrics,
        *,
        provider: str,
        version: str,
        profile: Profile | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._gate = gate
        self._voice = voice
        self._stamper = stamper
        self._store = store
        self._publisher = ClipPublisher(gate, store, clock)
        self.renditions = Renditions(gate, store, self._publisher, stamper, clock)
        self._metrics = metrics
        self._provider = provider
        self._version = version
        self._profile = profile or load_profile(DEFAULT)
        self._clock = clock
        self._flights: SingleFlight[Clip] = SingleFlight()
        self._engine: EngineInfo | None = None

    @property
    def profile(self) -> Profile:
        """What is asked of clips that leave here, beyond what every clip carries."""
        return self._profile

    async def engine_info(self) -> EngineInfo:
        """What the voice replicas run; asked once."""
        if self._engine is None:
            self._engine = await self._voice.info()
        return self._engine

    async def create_clip(self, request: ClipRequest) -> Clip:
        """Raises RequestRefused; otherwise the clip is stamped, registered and audited."""
        allowed = await self._authorize(request)
        key = await self._key_of(request, allowed)
        joins = self._flights.has(key)
        if not joins:
            stored = await asyncio.to_thread(self._store.find, allowed.grant.tenant, key)
            if stored is not None:
                # Quick, and half of it would leave an audit entry open: it runs to its end, whoever hangs up.
                return await asyncio.shield(self._from_cache(stored, allowed))
            joins = self._flights.has(key)
        try:
            clip = await self._flights.run(key, lambda: self._find_or_make(request, allowed, key))
        except RequestRefused as exc:
            if joins and exc.code in _OF_ONE_GRANT:
                return await self.create_clip(request)
            raise
        if not joins:
            return clip
        # Others waited for the same clip: each uses a grant of its own and has an audit entry of its own.
        return await self.create_clip(request)

    async def stream(self, request: ClipRequest) -> Clip | ClipStream:
        """As `create_clip`, but sent while it is made; a clip that is kept already comes whole. Raises RequestRefused
        until the first sound is there."""
        check_live(request.delivery)
        allowed = await self._authorize(request)
        key = await self._key_of(request, allowed)
        stored = await asyncio.to_thread(self._store.find, allowed.grant.tenant, key)
        if stored is not None:
            return await asyncio.shield(self._from_cache(stored, allowed))
        seed = request.seed if request.seed is not None else seed_of(key)
        try:
            return await self._begin(request, allowed, seed)
        except PeerLost:  # as in `_make`: nothing has left
            return await self._begin(request, await self._authorize(request), seed)

    async def _begin(self, request: ClipRequest, allowed: Allow, seed: int) -> ClipStream:
        pieces = self._voice.stream(allowed.token, request.utterance, seed)
        try:
            started = await anext(pieces)
            if not isinstance(started, StartedSynthesis) or started.grant != allowed.grant:
                raise _answered_another()
            sound = cast(AsyncGenerator[bytes], pieces)
            first = await anext(sound)
            disclosure = self._disclosure(started)
            with gates_own_refusals():
                token = await asyncio.to_thread(self._stamper.announce, disclosure)
        except BaseException as exc:
            await asyncio.shield(pieces.aclose())  # the replica need not go on
            await asyncio.shield(self._publisher.close(allowed.grant.grant_id, closing_of_stream(exc)))
            raise
        return ClipStream(
            started, first, sound, request.delivery, disclosure, token,
            stamper=self._stamper, publisher=self._publisher, metrics=self._metrics,
        )  # fmt: skip

    async def manifest(self, api_key: str, clip_id: str, audio_sha256: str = "") -> Fetched:
        """As `fetch`, for its manifest alone: that may be read as long as it is kept, whatever became of the consent.
        What was sent is in the world, and whoever holds it may know what it is. audio_sha256: of which copy."""
        record, _ = await self._gate.clip_for(api_key, clip_id)
        return await self._publisher.copy_of(record, audio_sha256)

    async def fetch(self, api_key: str, clip_id: str, *, hand_out: bool = True) -> Fetched:
        """A stored clip of the caller's grantee. Raises RequestRefused when its consent no longer stands. `hand_out`:
        False where no byte of it leaves, so that the log has no use to tell of."""
        record, standing = await self._gate.clip_for(api_key, clip_id)
        stands = record.state == "live" and standing.may_leave
        copy = await self._publisher.copy_of(record) if stands else None
        # Last, as in `_from_cache`: audited before the first byte, and nothing slow in between. Refuses what fell.
        if hand_out:
            await self._gate.release_clip(api_key, clip_id)
        if copy is None:
            raise RequestRefused("consent_revoked", "the consent behind this clip no longer stands")
        return copy

    async def _authorize(self, request: ClipRequest) -> Allow:
        decision = await self._gate.authorize(request.api_key, request.claim())
        if not isinstance(decision, Allow):
            refused = (
                RequestRefused(decision.code, decision.reason)
                if isinstance(decision, Deny)
                else gate_failed()
            )
            self._metrics.count("vouch_decisions_total", code=refused.code)
            raise refused
        self._metrics.count("vouch_decisions_total", code="ok")
        return decision

    async def _key_of(self, request: ClipRequest, allowed: Allow) -> str:
        return cache_key(
            allowed.cache_scope, request.utterance, await self.engine_info(),
            seed=request.seed, profile=self._profile.name, delivery=request.delivery.key,
        )  # fmt: skip

    async def _from_cache(self, stored: StoredClip, allowed: Allow) -> Clip:
        header = stored.header
        data_key = await self._gate.clip_key(header.tenant, header.clip_id, header.wrapped)
        opened = stored.open(data_key)
        # Last, so that nothing slow lies between the recheck of the consent and the first byte.
        redeemed = await self._gate.redeem_cached(allowed.token, header.clip_id)
        closing = Closing("completed", header.seconds, header.audio_sha256)
        await self._gate.close_clip(redeemed.grant.grant_id, closing)
        self._metrics.count("vouch_cache_hits_total")
        return Clip(
            header.clip_id, opened.audio, header.media_type, header.seconds, True,
            headers(header.clip_id), opened.manifest,
        )  # fmt: skip

    async def _find_or_make(self, request: ClipRequest, allowed: Allow, key: str) -> Clip:
        # Another flight may have landed between the first look and this one's start.
        stored = await asyncio.to_thread(self._store.find, allowed.grant.tenant, key)
        if stored is not None:
            return await asyncio.shield(self._from_cache(stored, allowed))
        return await self._make(request, allowed, key)

    async def _make(self, request: ClipRequest, allowed: Allow, key: str) -> Clip:
        seed = request.seed if request.seed is not None else seed_of(key)
        try:
            clip = await self._synthesize(allowed, request.utterance, seed)
        except PeerLost:
            # A replica died. Nothing has left it, so a second grant is as safe as the first.
            allowed = await self._authorize(request)
            key = await self._key_of(request, allowed)  # the consent may have been narrowed meanwhile
            clip = await self._synthesize(allowed, request.utterance, seed)
        grant_id = allowed.grant.grant_id
        try:
            stamped = await asyncio.to_thread(self._stamp, clip, request.delivery)
        except BaseException as exc:
            await asyncio.shield(self._publisher.close(grant_id, closing_for(exc)))
            raise
        # As in `create_clip`: from here on to its end, or a clip would be stored that nobody registered.
        return await asyncio.shield(self._hand_over(clip.started, stamped, key))

    async def _synthesize(self, allowed: Allow, utterance: Utterance, seed: int) -> UnstampedClip:
        try:
            clip = await self._voice.synthesize(allowed.token, utterance, seed)
            if clip.started.grant != allowed.grant:
                raise _answered_another()
        except BaseException as exc:
            # Mostly the replica has closed the entry itself, and the first closing stands; but its answer may have
            # been lost, or the replica with it, or it came when the caller had gone.
            await asyncio.shield(self._publisher.close(allowed.grant.grant_id, closing_for(exc)))
            raise
        return clip

    async def _hand_over(self, started: StartedSynthesis, stamped: StampedClip, key: str) -> Clip:
        await self._publisher.publish(started, stamped, key)
        clip_id = started.grant.clip_id
        return Clip(
            clip_id, stamped.data, stamped.media_type, stamped.seconds, False, headers(clip_id), stamped.manifest
        )  # fmt: skip

    def _stamp(self, clip: UnstampedClip, delivery: Delivery) -> StampedClip:
        began = self._clock()
        with gates_own_refusals():
            stamped = self._stamper.stamp(clip.samples, SAMPLE_RATE, self._disclosure(clip.started), delivery)
        self._metrics.observe("vouch_stamp_seconds", self._clock() - began)
        return stamped

    def _disclosure(self, started: StartedSynthesis) -> Disclosure:
        deployment = Deployment(self._provider, self._version, self._profile.name)
        return disclosure_for(started.redeemed, started.engine, deployment, self._clock())


def _answered_another() -> RequestRefused:
    return RequestRefused("synthesis_failed", "a replica answered for another request; nothing was released")
