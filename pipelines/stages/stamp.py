"""Third stage: mark the audio, register it, put it in place, close the record.

Order matters. Registered before it is written: deletion finds every file that ever was. Standing asked before
and after: a consent that is withdrawn while the file is being written takes the file with it (DESIGN I5). A
file that is there was stamped (I4), registered, and its audit entry committed (I3).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from consent_service.errors import GrantRevoked
from consent_service.grants import Grant
from consent_service.models import Closing
from consent_service.proofs.seams import ClipRecord
from consent_service.service import ConsentService
from pipelines.rows import RowResult
from pipelines.stages.clips import ClipStore
from pipelines.stages.consent import STANDS
from pipelines.stages.outcome import outcome_of
from pipelines.stages.synthesize import Spoken, close_failed
from provenance.disclosure import Disclosure
from provenance.formats.delivery import AS_SPOKEN, Delivery
from provenance.profiles.profile import DEFAULT
from provenance.stamp import StampedClip, Stamper
from speech.engine import EngineInfo


class Stamp:
    """Callable over one spoken row; the last thing that sees samples."""

    def __init__(
        self,
        service: ConsentService,
        stamper: Stamper,
        clips: ClipStore,
        engine: EngineInfo,
        *,
        provider: str,
        system_version: str,
        wanted: Delivery = AS_SPOKEN,
        profile: str = DEFAULT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._stamper = stamper
        self._clips = clips
        self._engine = engine
        self._provider = provider
        self._system_version = system_version
        self._wanted = wanted
        self._profile = profile
        self._clock = clock

    def __call__(self, spoken: Spoken) -> RowResult:
        grant = spoken.redeemed.grant
        try:
            return self._deliver(spoken, grant)
        except Exception as exc:  # noqa: BLE001 — one row in, one row out
            status, code, message = outcome_of(exc)
            self._take_back(grant.clip_id)
            close_failed(self._service, spoken.redeemed, code, cut=status == "refused")
            return spoken.row.fail(status, code, message)

    def _deliver(self, spoken: Spoken, grant: Grant) -> RowResult:
        now = self._clock()
        clip = self._stamper.stamp(
            spoken.samples, spoken.sample_rate, self._disclosure(spoken, now), self._wanted
        )
        self._require_standing(grant)
        self._service.clips.register_clip(self._record(spoken, clip, now))
        if clip.manifest is not None:
            self._clips.write_manifest(grant.clip_id, clip.manifest)
        uri = self._clips.write(grant.clip_id, clip.data)
        self._require_standing(grant)
        self._service.gate.close(grant.grant_id, Closing("completed", clip.seconds, clip.sha256))
        return replace(
            spoken.row.result,
            status="ok",
            code=None,
            message=None,
            clip_id=grant.clip_id,
            clip_uri=uri,
            audio_sha256=clip.sha256,
            seconds=clip.seconds,
        )

    def _require_standing(self, grant: Grant) -> None:
        standing, _ = self._service.clips.standing(grant.clip_id, grant.consent_id, grant.consent_version)
        if standing not in STANDS:
            raise GrantRevoked(
                f"the consent no longer stands ({standing}); the audio was discarded", code="consent_revoked"
            )

    def _take_back(self, clip_id: str) -> None:
        try:
            self._clips.delete(clip_id)
        except Exception as exc:  # noqa: BLE001 — the row has failed already; the sweep tries again
            outcome_of(exc)

    def _disclosure(self, spoken: Spoken, now: float) -> Disclosure:
        grant, engine = spoken.redeemed.grant, self._engine
        return Disclosure(
            clip_id=grant.clip_id,
            voice_id=grant.voice_id,
            basis=grant.basis.value,
            consent_id=grant.consent_id,
            consent_version=grant.consent_version,
            purpose=grant.purpose,
            language=spoken.row.utterance.language,
            generated_at=now,
            provider=self._provider,
            system_version=self._system_version,
            engine=engine.name,
            model=engine.model,
            model_digest=engine.model_digest,
            is_clone=engine.is_clone,
            audit_leaf=spoken.redeemed.audit_leaf,
            checkpoint=spoken.redeemed.checkpoint,
            profile=self._profile,
            keyed_epoch=None if spoken.redeemed.watermark is None else spoken.redeemed.watermark.epoch,
        )

    def _record(self, spoken: Spoken, clip: StampedClip, now: float) -> ClipRecord:
        return replace(
            spoken.redeemed.clip_record(created_at=now),
            audio_sha256=clip.sha256,
            seconds=clip.seconds,
            objects=self._clips.uris(spoken.redeemed.grant.clip_id),
            fingerprint=clip.fingerprint,
        )
