"""A voice replica: redeem a grant, synthesize, and hand the samples back; never without a grant, never after a
revocation.

Plain class around a `SpeechEngine`. The engine works in a thread (or process) of its own; this class lives on the
replica's event loop and only waits. It holds no ledger, no vault and no long-lived key but its own X25519 one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from consent_service.errors import GrantKeyUnknown, GrantRevoked
from consent_service.grants import Grant, Utterance, VerifiedGrant
from consent_service.models import Redeemed
from consent_service.proofs.records import WatermarkTag
from provenance.audio import pcm16
from serve_app.errors import RequestRefused
from serve_app.gate.protocol import Gate
from serve_app.handles import fail_closed
from serve_app.metrics import Metrics
from serve_app.voice.watch import RevocationWatch
from speech.engine import SAMPLE_RATE, EngineInfo, Samples, SpeechEngine
from speech.errors import EngineUnavailable, SynthesisCancelled, SynthesisFailed
from synthesis.outcome import closing_for
from synthesis.replica import ReplicaIdentity
from synthesis.request import engine_request, require_same_grant, require_speaker

log = logging.getLogger("vouch.serve")

_PIECE_SAMPLES: Final = SAMPLE_RATE  # of 16 bits: 48 kB; Ray inlines what is below 100 kB


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedSynthesis:
    """A grant was used up by this replica: what the disclosure of its clip must say."""

    redeemed: Redeemed  # without the reference, which concerns the replica alone
    engine: EngineInfo
    replica_id: str
    proof: bytes = field(repr=False)  # with it this replica answers for what came of the grant

    @property
    def grant(self) -> Grant:
        return self.redeemed.grant


@dataclass(frozen=True, slots=True)
class UnstampedClip:
    """A whole clip: samples with the keyed mark, not yet stamped."""

    started: StartedSynthesis
    samples: Samples = field(repr=False)


class VoiceWorker:
    """One engine, one replica identity, one watch on the revocation feed."""

    def __init__(
        self,
        engine: SpeechEngine,
        gate: Gate,
        *,
        replica_id: str,
        node_secret: bytes,
        metrics: Metrics,
        watch: RevocationWatch,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._gate: Final = fail_closed(Gate, gate)
        self.identity: Final = ReplicaIdentity(replica_id, node_secret, clock=clock)
        self._metrics = metrics
        self._watch = watch
        self._clock = clock

    async def start(self) -> None:
        """Register the replica key, begin to watch revocations, then warm the engine up. Raises on failure."""
        await self._register()
        self._watch.on_revocation = lambda event: self._engine.cancel_voice(event.voice_id, "consent_revoked")
        await self._watch.start()
        await asyncio.get_running_loop().run_in_executor(None, self._engine.warm_up)

    def check_health(self) -> None:
        """Raises EngineUnavailable once this replica can never speak again. Waits for nothing; a ledger that cannot be
        reached is no reason, as another replica would not reach it either."""
        if not self._engine.healthy:
            raise EngineUnavailable("the engine of this replica failed for good; another takes its place")

    async def info(self) -> EngineInfo:
        return self._engine.info

    async def synthesize(self, token: str, utterance: Utterance, seed: int) -> UnstampedClip:
        """Verify, redeem, synthesize. Audio is released only if the voice was not revoked meanwhile."""
        verified, redeemed = await self._redeemed(token, utterance)
        # From here on the audit log has an open entry: whatever happens, close it or hand it on.
        try:
            chunks = [chunk async for chunk in self._chunks(verified, redeemed, utterance, seed)]
            samples = await self._mark(np.concatenate(chunks), redeemed.watermark)
            await self._still_allowed(verified.grant)
        except BaseException as exc:
            await asyncio.shield(self._close(verified.grant, exc))
            raise
        return UnstampedClip(self._started(redeemed), samples)

    async def stream(
        self, token: str, utterance: Utterance, seed: int
    ) -> AsyncGenerator[StartedSynthesis | bytes]:
        """The same, chunk by chunk: first what was started, then marked sound, 16 bits at `SAMPLE_RATE`. Each piece
        leaves only under knowledge of the consent that is fresh. The caller, who knows what was sent, closes the
        audit entry."""
        verified, redeemed = await self._redeemed(token, utterance)
        yield self._started(redeemed)
        await self._learn(redeemed.watermark)
        marker, loop = self.identity.marker, asyncio.get_running_loop()
        embedder = marker.embedder(redeemed.watermark)
        async with aclosing(self._chunks(verified, redeemed, utterance, seed)) as chunks:
            async for chunk in chunks:
                marked = await loop.run_in_executor(None, embedder.feed, chunk)
                await self._still_allowed(verified.grant)
                for piece in _pieces(marked):
                    yield piece
        rest = await loop.run_in_executor(None, embedder.flush)
        await self._still_allowed(
            verified.grant
        )  # the engine may have taken long to say that it was the last
        for piece in _pieces(rest):
            yield piece

    async def close(self) -> None:
        await self._watch.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._engine.close)

    def _started(self, redeemed: Redeemed) -> StartedSynthesis:
        return StartedSynthesis(
            redeemed=replace(redeemed, sealed_reference=None),
            engine=self._engine.info,
            replica_id=self.identity.replica_id,
            proof=self.identity.proof_of_synthesis(redeemed.grant.grant_id),
        )

    async def _register(self) -> None:
        """Make this replica's key known; the answer holds the keys under which grants are signed now."""
        keys = await self._gate.register_replica(*self.identity.registration)
        self.identity.trust_grant_keys(keys)

    async def _redeemed(self, token: str, utterance: Utterance) -> tuple[VerifiedGrant, Redeemed]:
        """Use the grant up. What can be refused without the gate is refused before."""
        self.check_health()
        verified = await self._verified(token, utterance)
        require_speaker(self._engine.info, verified.grant)
        redeemed = await self._redeem(verified)
        require_same_grant(verified, redeemed)
        return verified, redeemed

    async def _verified(self, token: str, utterance: Utterance) -> VerifiedGrant:
        try:
            return self.identity.verify(token, utterance)
        except GrantKeyUnknown:  # keys may have been rotated since this replica asked
            await self._register()
            return self.identity.verify(token, utterance)

    async def _redeem(self, verified: VerifiedGrant) -> Redeemed:
        """A redemption that was asked for is awaited even when the caller has gone: it may open an audit entry."""
        answer: asyncio.Future[Redeemed] = asyncio.ensure_future(
            self._gate.redeem(verified.token, self.identity.replica_id)
        )
        try:
            return await asyncio.shield(answer)
        except RequestRefused as exc:
            if exc.status >= 500:  # no answer: the ledger may have committed all the same
                await self._close(verified.grant, exc)
            raise
        except asyncio.CancelledError as exc:
            await asyncio.shield(self._abandon(answer, verified.grant, exc))
            raise

    async def _abandon(self, answer: asyncio.Future[Redeemed], grant: Grant, exc: BaseException) -> None:
        with contextlib.suppress(RequestRefused):
            await answer
            await self._close(grant, exc)

    async def _chunks(
        self, verified: VerifiedGrant, redeemed: Redeemed, utterance: Utterance, seed: int
    ) -> AsyncGenerator[Samples]:
        """What the engine gives, unmarked, each chunk held against what the watch knows when it comes."""
        request = engine_request(verified, redeemed, utterance, seed, self.identity.key)
        began, samples = self._clock(), 0
        # What the watch learned since the redemption has dropped this voice's prompts: do not make new ones.
        self._check_known(verified.grant)
        stream = self._engine.start(request)
        loop, iterator = asyncio.get_running_loop(), iter(stream)

        def pull() -> Samples | None:
            return next(iterator, None)

        try:
            while (chunk := await loop.run_in_executor(None, pull)) is not None:
                if not samples:
                    self._metrics.observe("vouch_first_audio_ms", (self._clock() - began) * 1e3)
                samples += chunk.size
                self._check_known(verified.grant)
                yield chunk
        except BaseException:
            stream.cancel("disconnected")
            raise
        if not samples:
            raise SynthesisFailed("the engine gave no audio")
        self._metrics.observe("vouch_synthesis_seconds", self._clock() - began)
        self._metrics.count(
            "vouch_audio_seconds_total", samples / SAMPLE_RATE, mode=verified.grant.basis.value
        )

    async def _mark(self, samples: Samples, mark: WatermarkTag | None) -> Samples:
        """The keyed mark goes in here, before a sample leaves this process (I4). Raises StampFailed."""
        await self._learn(mark)
        return await asyncio.get_running_loop().run_in_executor(
            None, self.identity.marker.mark, samples, mark
        )

    async def _learn(self, mark: WatermarkTag | None) -> None:
        if self.identity.needs_watermark_key(mark):
            sealed = await self._gate.watermark_key(self.identity.replica_id, mark.epoch)
            self.identity.learn_watermark_key(mark.epoch, sealed)

    def _check_known(self, grant: Grant) -> None:
        """Against what the watch knows at this moment."""
        if self._watch.revoked(grant):
            raise SynthesisCancelled("the consent was withdrawn while speaking", code="consent_revoked")
        if grant.valid_until is not None and self._clock() > grant.valid_until:
            raise SynthesisCancelled("the consent expired while speaking", code="consent_expired")

    async def _still_allowed(self, grant: Grant) -> None:
        """Before anything is released: knowledge must be fresh, and must not name this voice."""
        if grant.consent_id is not None and not await self._watch.fresh():
            raise RequestRefused("revocations_unknown", "revocations cannot be read; nothing was released")
        try:
            self._check_known(grant)
        except SynthesisCancelled as exc:
            raise GrantRevoked(exc.message, code=exc.code) from None

    async def _close(self, grant: Grant, exc: BaseException) -> None:
        try:
            await self._gate.close_clip(grant.grant_id, closing_for(exc))
        except RequestRefused as refused:
            if refused.code != "grant_unknown":  # it was never redeemed, so nothing is open
                log.warning("audit entry of a failed synthesis stays open: %s", refused.code)


def _pieces(samples: Samples) -> Iterator[bytes]:
    """Small enough that none of them goes through Ray's object store (I6)."""
    for start in range(0, samples.size, _PIECE_SAMPLES):
        yield pcm16(samples[start : start + _PIECE_SAMPLES]).astype("<i2").tobytes()
