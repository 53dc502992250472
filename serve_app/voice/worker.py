"""A voice replica: redeem a grant, speak, and hand the samples back; never without a grant, never after a
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
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from consent_service.errors import GrantKeyUnknown, GrantMismatch, GrantRevoked
from consent_service.grants import Basis, Grant, GrantVerifier, Utterance, VerifiedGrant
from consent_service.models import Closing, Redeemed
from consent_service.proofs.seams import WatermarkTag
from consent_service.vault.sealing import ReplicaKey, open_reference, spoken_proof, watermark_info
from foundation.errors import CodedError
from provenance.audio import pcm16
from provenance.keyed.marker import Marker
from serve_app.errors import RequestRefused
from serve_app.gate.protocol import Gate
from serve_app.handles import fail_closed
from serve_app.metrics import Metrics
from serve_app.voice.watch import RevocationWatch
from speech.engine import (
    SAMPLE_RATE,
    CloneRequest,
    CustomVoiceRequest,
    DesignRequest,
    EngineInfo,
    Reference,
    Samples,
    SpeechEngine,
    SpeechRequest,
)
from speech.errors import EngineUnavailable, SynthesisCancelled, SynthesisFailed

log = logging.getLogger("vouch.serve")

_PIECE_SAMPLES: Final = SAMPLE_RATE  # of 16 bits: 48 kB; Ray inlines what is below 100 kB


@dataclass(frozen=True, slots=True)
class Order:
    """One synthesis, as the ingress asks for it."""

    token: str = field(repr=False)
    utterance: Utterance
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A grant was used up by this replica: what the disclosure of its clip must say."""

    grant: Grant
    audit_leaf: int
    checkpoint: str
    engine: EngineInfo
    keyed_epoch: int | None  # under whose key the mark is put in
    replica_id: str
    proof: bytes = field(repr=False)  # by which this replica answers for what came of the grant


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken(Begun):
    """A whole clip: samples with the keyed mark, not yet stamped."""

    samples: Samples = field(repr=False)


class VoiceWorker:
    """One engine, one replica key, one watch on the revocation feed."""

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
        self._key: Final = ReplicaKey(replica_id)
        self._proof = self._key.proof(node_secret)
        self._node_secret: Final = node_secret
        self._metrics = metrics
        self._watch = watch
        self._clock = clock
        self._marker: Final = Marker()
        self._verifier: GrantVerifier | None = None

    async def start(self) -> None:
        """Register the replica key, begin to watch revocations, then warm the engine up. Raises on failure."""
        self._verifier = await self._register()
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

    async def synthesize(self, order: Order) -> Spoken:
        """Verify, redeem, speak. Audio is released only if the voice was not revoked meanwhile."""
        verified = await self._verified(self._ready(), order)
        redeemed = await self._redeem(verified.grant, order.token)
        # From here on the audit log has an open entry: whatever happens, close it or hand it on.
        try:
            chunks = [chunk async for chunk in self._chunks(verified, redeemed, order)]
            samples = await self._mark(np.concatenate(chunks), redeemed.watermark)
            await self._still_allowed(verified.grant)
        except CodedError as exc:
            await self._close(verified.grant, exc.code)
            raise
        except asyncio.CancelledError:
            await asyncio.shield(self._close(verified.grant, "disconnected"))
            raise
        except Exception:
            await self._close(verified.grant, "internal_error")
            raise
        return Spoken(samples=samples, **self._began(redeemed))

    async def stream(self, order: Order) -> AsyncGenerator[Begun | bytes]:
        """The same, heard while it is made: what was begun, then marked sound, 16 bits at `SAMPLE_RATE`. Each piece
        leaves only under knowledge of the consent that is fresh. The caller, who knows what was sent, closes the
        audit entry."""
        verified = await self._verified(self._ready(), order)
        redeemed = await self._redeem(verified.grant, order.token)
        yield Begun(**self._began(redeemed))
        await self._learn(redeemed.watermark)
        embedder, loop = self._marker.embedder(redeemed.watermark), asyncio.get_running_loop()
        async with aclosing(self._chunks(verified, redeemed, order)) as chunks:
            async for chunk in chunks:
                marked = await loop.run_in_executor(None, embedder.feed, chunk)
                await self._still_allowed(verified.grant)
                for piece in _pieces(marked):
                    yield piece
        for piece in _pieces(embedder.flush()):
            yield piece

    def _began(self, redeemed: Redeemed) -> dict[str, Any]:
        """The fields of `Begun`."""
        grant, replica_id = redeemed.grant, self._key.replica_id
        return {
            "grant": grant, "audit_leaf": redeemed.audit_leaf, "checkpoint": redeemed.checkpoint,
            "engine": self._engine.info,
            "keyed_epoch": None if redeemed.watermark is None else redeemed.watermark.epoch,
            "replica_id": replica_id, "proof": spoken_proof(self._node_secret, replica_id, grant.grant_id),
        }  # fmt: skip

    async def _register(self) -> GrantVerifier:
        """Make this replica's key known; in return it learns under which keys grants are signed now."""
        keys = await self._gate.register_replica(self._key.replica_id, self._key.public_bytes, self._proof)
        return GrantVerifier(keys, clock=self._clock)

    def _ready(self) -> GrantVerifier:
        """Asked before a grant is used up and an audit entry opened."""
        if self._verifier is None:
            raise RequestRefused("engine_unavailable", "the replica is not ready")
        self.check_health()
        return self._verifier

    async def _verified(self, verifier: GrantVerifier, order: Order) -> VerifiedGrant:
        try:
            return verifier.verify(order.token, order.utterance)
        except GrantKeyUnknown:  # keys may have been rotated since this replica asked
            self._verifier = await self._register()
            return self._verifier.verify(order.token, order.utterance)

    async def _redeem(self, grant: Grant, token: str) -> Redeemed:
        """A redemption that was asked for is awaited even when the caller has gone: it may open an audit entry."""
        asked = asyncio.ensure_future(self._gate.redeem(token, self._key.replica_id))
        try:
            redeemed: Redeemed = await asyncio.shield(asked)
        except RequestRefused as exc:
            if exc.status >= 500:  # no answer: the ledger may have committed all the same
                await self._close(grant, exc.code)
            raise
        except asyncio.CancelledError:
            await asyncio.shield(self._abandon(asked, grant))
            raise
        if redeemed.grant != grant:
            raise GrantMismatch("the gate answered for another grant")
        return redeemed

    async def _abandon(self, asked: asyncio.Future[Redeemed], grant: Grant) -> None:
        with contextlib.suppress(RequestRefused):
            await asked
            await self._close(grant, "disconnected")

    async def _chunks(
        self, verified: VerifiedGrant, redeemed: Redeemed, order: Order
    ) -> AsyncGenerator[Samples]:
        """What the engine says, unmarked, each chunk held against what the watch knows when it comes."""
        request = self._request(verified, redeemed, order)
        began, samples = self._clock(), 0
        # What the watch heard since the redemption has dropped this voice's prompts: do not make new ones.
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
        return await asyncio.get_running_loop().run_in_executor(None, self._marker.mark, samples, mark)

    async def _learn(self, mark: WatermarkTag | None) -> None:
        if mark is None or self._marker.knows(mark.epoch):
            return
        replica_id = self._key.replica_id
        sealed = await self._gate.watermark_key(replica_id, mark.epoch)
        self._marker.learn(mark.epoch, self._key.open(sealed, watermark_info(mark.epoch, replica_id)))

    def _request(self, verified: VerifiedGrant, redeemed: Redeemed, order: Order) -> SpeechRequest:
        grant = verified.grant
        if grant.basis.is_clone:
            reference = Reference.from_wav(*open_reference(self._key, redeemed))
            return CloneRequest(verified, order.utterance, reference, order.seed)
        if grant.basis is Basis.PRESET:
            speaker = grant.voice_id.removeprefix("preset:")
            return CustomVoiceRequest(grant.grant_id, order.utterance, speaker, order.seed)
        return DesignRequest(grant.grant_id, order.utterance, order.seed)

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

    async def _close(self, grant: Grant, reason: str) -> None:
        outcome = {"consent_revoked": "cut", "consent_expired": "cut", "disconnected": "disconnected"}.get(
            reason, "failed"
        )
        try:
            await self._gate.close_clip(grant.grant_id, Closing(outcome, reason=reason))  # type: ignore[arg-type]
        except RequestRefused as exc:
            if exc.code == "grant_unknown":
                return  # it was never redeemed, so nothing is open
            log.warning("audit entry of a failed synthesis stays open: %s", exc.code)

    async def close(self) -> None:
        await self._watch.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._engine.close)


def _pieces(samples: Samples) -> Iterator[bytes]:
    """Small enough that none of them goes through Ray's object store (I6)."""
    for start in range(0, samples.size, _PIECE_SAMPLES):
        yield pcm16(samples[start : start + _PIECE_SAMPLES]).astype("<i2").tobytes()
