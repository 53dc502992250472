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
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from consent_service.errors import ConsentError, GrantKeyUnknown, GrantMismatch, GrantRevoked
from consent_service.grants import Basis, Grant, GrantVerifier, Utterance, VerifiedGrant
from consent_service.models import Closing, Redeemed
from consent_service.proofs.seams import WatermarkTag
from consent_service.sealing import ReplicaKey, open_reference, spoken_proof, watermark_info
from provenance.errors import ProvenanceError
from provenance.keyed.marker import Marker
from serve_app.errors import RequestRefused
from serve_app.metrics import Metrics
from serve_app.remote import FailClosed, Remote
from serve_app.watch import RevocationWatch
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
from speech.errors import SpeechError, SynthesisCancelled

log = logging.getLogger("vouch.serve")


@dataclass(frozen=True, slots=True)
class Order:
    """One synthesis, as the ingress asks for it."""

    token: str = field(repr=False)
    utterance: Utterance
    seed: int


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a replica gives back: samples with the keyed mark, not yet stamped, and what the stamp must say."""

    samples: Samples = field(repr=False)
    grant: Grant
    audit_leaf: int
    checkpoint: str
    engine: EngineInfo
    replica_id: str
    keyed_epoch: int | None  # under whose key the mark was put in
    proof: bytes = field(repr=False)  # by which this replica answers for what came of the grant


class VoiceWorker:
    """One engine, one replica key, one watch on the revocation feed."""

    def __init__(
        self,
        engine: SpeechEngine,
        gate: Remote,
        *,
        replica_id: str,
        node_secret: bytes,
        metrics: Metrics,
        watch: RevocationWatch,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._gate: Final = FailClosed(gate)
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

    async def info(self) -> EngineInfo:
        return self._engine.info

    async def synthesize(self, order: Order) -> Spoken:
        """Verify, redeem, speak. Audio is released only if the voice was not revoked meanwhile."""
        if self._verifier is None:
            raise RequestRefused("engine_unavailable", "the replica is not ready")
        verified = await self._verified(self._verifier, order)
        redeemed = await self._redeem(verified.grant, order.token)
        # From here on the audit log has an open entry: whatever happens, close it or hand it on.
        try:
            samples = await self._mark(await self._speak(verified, redeemed, order), redeemed.watermark)
            await self._still_allowed(verified.grant)
        except (SpeechError, ConsentError, ProvenanceError, RequestRefused) as exc:
            await self._close(verified.grant, exc.code)
            raise
        except asyncio.CancelledError:
            await asyncio.shield(self._close(verified.grant, "disconnected"))
            raise
        except Exception:
            await self._close(verified.grant, "internal_error")
            raise
        return Spoken(
            samples, verified.grant, redeemed.audit_leaf, redeemed.checkpoint, self._engine.info,
            self._key.replica_id, None if redeemed.watermark is None else redeemed.watermark.epoch,
            spoken_proof(self._node_secret, self._key.replica_id, verified.grant.grant_id),
        )  # fmt: skip

    async def _register(self) -> GrantVerifier:
        """Make this replica's key known; in return it learns under which keys grants are signed now."""
        keys = await self._gate.call(
            "register_replica", self._key.replica_id, self._key.public_bytes, self._proof
        )
        return GrantVerifier(keys, clock=self._clock)

    async def _verified(self, verifier: GrantVerifier, order: Order) -> VerifiedGrant:
        try:
            return verifier.verify(order.token, order.utterance)
        except GrantKeyUnknown:  # keys may have been rotated since this replica asked
            self._verifier = await self._register()
            return self._verifier.verify(order.token, order.utterance)

    async def _redeem(self, grant: Grant, token: str) -> Redeemed:
        """A redemption that was asked for is awaited even when the caller has gone: it may open an audit entry."""
        asked = asyncio.ensure_future(self._gate.call("redeem", token, self._key.replica_id))
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

    async def _speak(self, verified: VerifiedGrant, redeemed: Redeemed, order: Order) -> Samples:
        request = self._request(verified, redeemed, order)
        began = self._clock()
        # What the watch heard since the redemption has dropped this voice's prompts: do not make new ones.
        self._check_known(verified.grant)
        stream = self._engine.start(request)
        loop = asyncio.get_running_loop()
        chunks: list[Samples] = []
        first = True

        def pull() -> Samples | None:
            return next(iterator, None)

        iterator = iter(stream)
        try:
            while (chunk := await loop.run_in_executor(None, pull)) is not None:
                if first:
                    self._metrics.observe("vouch_first_audio_ms", (self._clock() - began) * 1e3)
                    first = False
                chunks.append(chunk)
                self._check_known(verified.grant)
        except BaseException:
            stream.cancel("disconnected")
            raise
        if not chunks:
            raise SpeechError("the engine gave no audio", code="synthesis_failed")
        samples = np.concatenate(chunks)
        self._metrics.observe("vouch_synthesis_seconds", self._clock() - began)
        self._metrics.count(
            "vouch_audio_seconds_total", samples.size / SAMPLE_RATE, mode=verified.grant.basis.value
        )
        return samples

    async def _mark(self, samples: Samples, mark: WatermarkTag | None) -> Samples:
        """The keyed mark goes in here, before a sample leaves this process (I4). Raises StampFailed."""
        if mark is not None and not self._marker.knows(mark.epoch):
            replica_id = self._key.replica_id
            sealed = await self._gate.call("watermark_key", replica_id, mark.epoch)
            self._marker.learn(mark.epoch, self._key.open(sealed, watermark_info(mark.epoch, replica_id)))
        return await asyncio.get_running_loop().run_in_executor(None, self._marker.mark, samples, mark)

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
            await self._gate.call("close_clip", grant.grant_id, Closing(outcome, reason=reason))  # type: ignore[arg-type]
        except RequestRefused as exc:
            if exc.code == "grant_unknown":
                return  # it was never redeemed, so nothing is open
            log.warning("audit entry of a failed synthesis stays open: %s", exc.code)

    async def close(self) -> None:
        await self._watch.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._engine.close)
