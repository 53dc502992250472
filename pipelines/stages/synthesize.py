"""Second stage: use the grant up, open the reference, synthesize.

Nothing is synthesized whose grant was not used up first, so the audit entry is there before the audio is (DESIGN I3). A
grant that has gone stale in the queue is never stretched: the gate is asked again, and decides anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from consent_service.errors import GrantExpired, GrantKeyUnknown, GrantRevoked, GrantUsed
from consent_service.grants import VerifiedGrant
from consent_service.models import Deny, Principal, Redeemed
from consent_service.service import ConsentService
from pipelines.rows import GrantedRow, RowResult
from speech.engine import SAMPLE_RATE, Samples, SpeechEngine
from speech.errors import EngineUnavailable, SynthesisCancelled, SynthesisFailed
from synthesis.outcome import closing_for, row_failure
from synthesis.replica import ReplicaIdentity
from synthesis.request import engine_request, require_same_grant, require_speaker

# A grant that is about to expire may do so on the way to the ledger.
_MARGIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class UnstampedRow:
    """Samples that exist in this process alone, under a grant that is used up. Never leaves unstamped."""

    result: RowResult  # status "error" until there is a clip
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
        identity: ReplicaIdentity,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._principal = principal
        self._engine = engine
        self._identity = identity
        self._clock = clock
        self._register()

    def __call__(self, row: GrantedRow) -> UnstampedRow | RowResult:
        try:
            self._require_engine()
            return self._under_fresh_grant(row)
        except Exception as exc:  # noqa: BLE001 — one row in, one row out
            return row.result.fail(*row_failure(exc))

    def _under_fresh_grant(self, row: GrantedRow) -> UnstampedRow | RowResult:
        if self._clock() + _MARGIN_S < row.start_by:
            try:
                return self._synthesize(row)
            except (GrantExpired, GrantUsed, GrantRevoked, SynthesisCancelled):
                pass  # expired, used by a lost attempt at this block, or revoked along with its voice
        decision = self._service.gate.authorize(self._principal(), row.checked.claim())
        if isinstance(decision, Deny):
            return row.result.fail("refused", decision.code, decision.reason)
        return self._synthesize(row.checked.granted(decision))

    def _register(self) -> None:
        """Make this actor's key known; the answer holds the keys under which grants are signed now."""
        keys = self._service.gate.register_replica(*self._identity.registration)
        self._identity.trust_grant_keys(keys)

    def _verified(self, row: GrantedRow) -> VerifiedGrant:
        try:
            return self._identity.verify(row.token, row.checked.utterance)
        except GrantKeyUnknown:  # a narration runs all night: keys may have been rotated since it began
            self._register()
            return self._identity.verify(row.token, row.checked.utterance)

    def _synthesize(self, row: GrantedRow) -> UnstampedRow:
        verified = self._verified(row)
        require_speaker(self._engine.info, verified.grant)
        redeemed = self._service.gate.redeem(row.token, self._identity.replica_id)
        # From here on the grant is used up: however this ends, the second audit record says so.
        try:
            require_same_grant(verified, redeemed)
            request = engine_request(
                verified, redeemed, row.checked.utterance, row.checked.seed, self._identity.key
            )
            chunks = list(self._engine.start(request))
            if not chunks:
                raise SynthesisFailed("the engine gave no audio for this row; run again")
            samples = self._mark(np.concatenate(chunks), redeemed)
            return UnstampedRow(replace(row.result, audit_leaf=redeemed.audit_leaf), redeemed, samples)
        except Exception as exc:
            close_failed(self._service, redeemed, exc)
            raise

    def _mark(self, samples: Samples, redeemed: Redeemed) -> Samples:
        """The keyed mark, as soon as there is something to mark. Raises StampFailed."""
        mark = redeemed.watermark
        if self._identity.needs_watermark_key(mark):
            sealed = self._service.gate.watermark_key(self._identity.replica_id, mark.epoch)
            self._identity.learn_watermark_key(mark.epoch, sealed)
        return self._identity.marker.mark(samples, mark)

    def _require_engine(self) -> None:
        """An engine that can never speak again is told before a grant is used up for it (ADR 25)."""
        if not self._engine.healthy:
            raise EngineUnavailable("the engine was lost for good; run again")


def close_failed(service: ConsentService, redeemed: Redeemed, exc: Exception) -> None:
    """Close a grant that came to nothing. A ledger that is gone by now must not hide why."""
    try:
        service.gate.close(redeemed.grant.grant_id, closing_for(exc))
    except Exception as lost:  # noqa: BLE001 — the row has failed already
        row_failure(lost)
