"""Second stage: redeem the grant, open the reference, speak.

Nothing is spoken that was not redeemed first, so the audit entry is there before the audio is (DESIGN I3). A
grant that has gone stale in the queue is never stretched: the gate is asked again, and decides anew.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import soundfile

from consent_service.errors import GrantExpired, GrantKeyUnknown, GrantRevoked, GrantUsed
from consent_service.grants import GrantVerifier, VerifiedGrant
from consent_service.models import Closing, Deny, Principal, Redeemed
from consent_service.service import ConsentService
from consent_service.vault.sealing import ReplicaKey, open_reference, watermark_info
from pipelines.rows import DESIGN, PRESET, Ready, RowResult
from pipelines.stages.outcome import outcome_of
from provenance.keyed.marker import Marker
from speech.engine import (
    SAMPLE_RATE,
    CloneRequest,
    CustomVoiceRequest,
    DesignRequest,
    Reference,
    Samples,
    SpeechEngine,
    SpeechRequest,
)
from speech.errors import EngineUnavailable, SpeakerUnknown, SynthesisCancelled, SynthesisFailed

# A grant that is about to expire may do so on the way to the ledger.
_MARGIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Spoken:
    """Samples that exist in this process alone, under a grant that is used up. Never leaves unstamped."""

    row: Ready
    redeemed: Redeemed
    samples: Samples = field(repr=False)
    sample_rate: int = SAMPLE_RATE


class Synthesize:
    """Callable over one row; thread-safe as far as engine and service are."""

    def __init__(
        self,
        service: ConsentService,
        principal: Callable[[], Principal],
        engine: SpeechEngine,
        key: ReplicaKey,
        node_secret: bytes,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._principal = principal
        self._engine = engine
        self._key = key
        self._clock = clock
        self._marker = Marker()
        self._proof = key.proof(node_secret)
        self._verifier = self._register()

    def __call__(self, row: Ready) -> Spoken | RowResult:
        try:
            self._require_engine()
            self._require_speaker(row)
            return self._under_fresh_grant(row)
        except Exception as exc:  # noqa: BLE001 — one row in, one row out
            return row.fail(*outcome_of(exc))

    def _under_fresh_grant(self, row: Ready) -> Spoken | RowResult:
        if self._clock() + _MARGIN_S < row.start_by:
            try:
                return self._speak(row)
            except (GrantExpired, GrantUsed, GrantRevoked, SynthesisCancelled):
                pass  # expired, used by a lost attempt at this block, or revoked along with its voice
        decision = self._service.gate.authorize(self._principal(), row.claim())
        if isinstance(decision, Deny):
            return row.fail("refused", decision.code, decision.reason)
        return self._speak(row.granted(decision))

    def _register(self) -> GrantVerifier:
        """Make this actor's key known; in return it learns under which keys grants are signed now."""
        key = self._key
        public_keys = self._service.gate.register_replica(key.replica_id, key.public_bytes, self._proof)
        return GrantVerifier(public_keys, clock=self._clock)

    def _verified(self, row: Ready) -> VerifiedGrant:
        try:
            return self._verifier.verify(row.grant, row.utterance)
        except GrantKeyUnknown:  # a narration runs all night: keys may have been rotated since it began
            self._verifier = self._register()
            return self._verifier.verify(row.grant, row.utterance)

    def _speak(self, row: Ready) -> Spoken:
        verified = self._verified(row)
        redeemed = self._service.gate.redeem(row.grant, self._key.replica_id)
        # From here on the grant is used up: however this ends, the second audit record says so.
        try:
            chunks = list(self._engine.start(self._request(row, verified, redeemed)))
            if not chunks:
                raise SynthesisFailed("the engine gave no audio for this row; run again")
            result = replace(row.result, audit_leaf=redeemed.audit_leaf)
            return Spoken(replace(row, result=result), redeemed, self._mark(np.concatenate(chunks), redeemed))
        except Exception as exc:
            status, code, _ = outcome_of(exc)
            close_failed(self._service, redeemed, code, cut=status == "refused")
            raise

    def _mark(self, samples: Samples, redeemed: Redeemed) -> Samples:
        """The keyed mark, as soon as there is something to mark. Raises StampFailed."""
        mark, reader = redeemed.watermark, self._key.replica_id
        if mark is not None and not self._marker.knows(mark.epoch):
            sealed = self._service.gate.watermark_key(reader, mark.epoch)
            self._marker.learn(mark.epoch, self._key.open(sealed, watermark_info(mark.epoch, reader)))
        return self._marker.mark(samples, mark)

    def _request(self, row: Ready, verified: VerifiedGrant, redeemed: Redeemed) -> SpeechRequest:
        grant = verified.grant
        if row.voice.startswith(PRESET):
            speaker = row.voice.removeprefix(PRESET)
            return CustomVoiceRequest(grant.grant_id, row.utterance, speaker, row.seed)
        if row.voice == DESIGN:
            return DesignRequest(grant.grant_id, row.utterance, row.seed)
        return CloneRequest(verified, row.utterance, self._reference(redeemed), row.seed)

    def _reference(self, redeemed: Redeemed) -> Reference:
        wav, transcript = open_reference(self._key, redeemed)
        with soundfile.SoundFile(io.BytesIO(wav)) as file:  # in memory only (DESIGN I6)
            samples = file.read(dtype="float32", always_2d=True).mean(axis=1, dtype=np.float32)
            return Reference(samples, file.samplerate, transcript)

    def _require_engine(self) -> None:
        """An engine that can never speak again is told before a grant is used up for it (ADR 25)."""
        if not self._engine.healthy:
            raise EngineUnavailable("the engine was lost for good; run again")

    def _require_speaker(self, row: Ready) -> None:
        """A preset that the engine lacks is told before a grant is used up for it."""
        speakers = {speaker.casefold() for speaker in self._engine.info.speakers}
        if row.voice.startswith(PRESET) and row.voice.removeprefix(PRESET).casefold() not in speakers:
            raise SpeakerUnknown(f"no preset speaker of that name; there are {', '.join(sorted(speakers))}")


def close_failed(service: ConsentService, redeemed: Redeemed, code: str, *, cut: bool) -> None:
    """Close a grant that came to nothing. A ledger that is gone by now must not hide why."""
    try:
        closing = Closing("cut" if cut else "failed", reason=code)
        service.gate.close(redeemed.grant.grant_id, closing)
    except Exception as exc:  # noqa: BLE001 — the row has failed already
        outcome_of(exc)
