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
from consent_service.service import ConsentService
from pipelines.rows import RowResult
from pipelines.stages.clips import OutputClips
from pipelines.stages.synthesize import UnstampedRow, close_failed
from provenance.formats.delivery import AS_SPOKEN, Delivery
from provenance.stamp import Stamper
from speech.engine import EngineInfo
from synthesis.disclosure import Deployment, disclosure_for, record_for
from synthesis.outcome import row_failure


class Stamp:
    """Callable over one synthesized row; the last thing that sees samples."""

    def __init__(
        self,
        service: ConsentService,
        stamper: Stamper,
        clips: OutputClips,
        engine: EngineInfo,
        deployment: Deployment,
        *,
        delivery: Delivery = AS_SPOKEN,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._stamper = stamper
        self._clips = clips
        self._engine = engine
        self._deployment = deployment
        self._delivery = delivery
        self._clock = clock

    def __call__(self, row: UnstampedRow) -> RowResult:
        try:
            return self._deliver(row, row.redeemed.grant)
        except Exception as exc:  # noqa: BLE001 — one row in, one row out
            self._take_back(row.redeemed.grant.clip_id)
            close_failed(self._service, row.redeemed, exc)
            return row.result.fail(*row_failure(exc))

    def _deliver(self, row: UnstampedRow, grant: Grant) -> RowResult:
        now = self._clock()
        disclosure = disclosure_for(row.redeemed, self._engine, self._deployment, now)
        stamped = self._stamper.stamp(row.samples, row.sample_rate, disclosure, self._delivery)
        self._require_standing(grant)
        self._service.clips.register_clip(
            record_for(row.redeemed, stamped, self._clips.uris(grant.clip_id), now)
        )
        if stamped.manifest is not None:
            self._clips.write_manifest(grant.clip_id, stamped.manifest)
        uri = self._clips.write(grant.clip_id, stamped.data)
        self._require_standing(grant)
        self._service.gate.close(grant.grant_id, Closing("completed", stamped.seconds, stamped.sha256))
        return replace(
            row.result,
            status="ok",
            code=None,
            message=None,
            clip_id=grant.clip_id,
            clip_uri=uri,
            audio_sha256=stamped.sha256,
            seconds=stamped.seconds,
        )

    def _require_standing(self, grant: Grant) -> None:
        standing, _ = self._service.clips.standing(grant.clip_id, grant.consent_id, grant.consent_version)
        if not standing.may_leave:
            raise GrantRevoked(f"the consent no longer stands ({standing}); the audio was discarded")

    def _take_back(self, clip_id: str) -> None:
        try:
            self._clips.delete(clip_id)
        except Exception as exc:  # noqa: BLE001 — the row has failed already; the sweep tries again
            row_failure(exc)
