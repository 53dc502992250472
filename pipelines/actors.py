"""The actors of a narration: how each process begins, and how one ends whose engine was lost.

What they do to a row is in the stages. Ray hands an actor's failure on as text alone, so what our rooms said travels in
it as JSON, and `failure_of` reads it on the other side.
"""

from __future__ import annotations

import json
import os
import re
import resource
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import pyarrow as pa

from consent_service.service import ConsentService
from foundation.errors import CodedError
from pipelines.actor_checkpoint import ActorCheckpoint
from pipelines.config import NarrateConfig
from pipelines.errors import ActorsFailed
from pipelines.journal import load_finished
from pipelines.row_synthesizer import (
    EngineRowSynthesizer,
    FailingRowSynthesizer,
    RowSynthesizer,
    principal_of,
)
from pipelines.rows import GrantedRow, RowResult, ScriptRow, decided_from, decided_record
from pipelines.schema import DECIDED, SCRIPT, STORED
from pipelines.stages import Consent
from pipelines.stages.clips import OutputClips
from pipelines.storage import Folder
from provenance.profiles.profile import load_profile
from speech.errors import SpeechError

_MARK: Final = "narration actor failed: "


class ConsentActor:
    """Decides rows, a block at a time."""

    def __init__(self, config: NarrateConfig, finished: str) -> None:
        try:
            self._service = ConsentService.open(config.consent)
            output = Folder(config.output)
            self._stage = Consent(
                self._service,
                lambda: principal_of(self._service, config),
                OutputClips(output, config.delivery.format),
                load_finished(output, finished),
                model=config.model_identity,
                purpose=config.purpose,
                max_characters=config.engine.max_characters,
                lexicon=config.lexicon,
                disclaimer=partial(
                    load_profile(config.consent.disclosure_profile).spoken, asked=config.spoken_disclaimer
                ),
            )
        except CodedError as exc:
            raise _told(exc) from None

    def __call__(self, batch: Any) -> Any:
        rows = [ScriptRow(**record) for record in batch.select(SCRIPT.names).to_pylist()]
        return pa.Table.from_pylist([decided_record(one) for one in self._stage(rows)], schema=DECIDED)


class SpeakActor:
    """Speaks and stamps rows, a few at a time; gives way to a new process when its engine is lost."""

    def __init__(self, config: NarrateConfig, run: str) -> None:
        from ray import get_runtime_context

        # A core dump would hold reference recordings.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        actor = get_runtime_context().get_actor_id() or "none"
        self._checkpoint = ActorCheckpoint(Folder(config.output), run, actor, most=config.engine_replacements)
        self._synthesizer = self._begin(config)
        self._threads = ThreadPoolExecutor(config.rows_in_flight, thread_name_prefix="row")
        self._delivered: list[RowResult] = []

    def __call__(self, batch: Any) -> Any:
        decided = [decided_from(record) for record in batch.to_pylist()]
        results = [*self._threads.map(self._finish, decided)]
        unfinished = any(result.status == "error" for result in results)
        # The block before is in the note too: Ray may not have heard yet that it was done, and would ask for it again.
        if (
            unfinished
            and not self._synthesizer.healthy
            and self._checkpoint.save([*self._delivered, *results])
        ):
            os._exit(
                1
            )  # any gentler way out is the end of the actor, or waits for a device that does not answer
        self._delivered = results
        return pa.Table.from_pylist([result.record() for result in results], schema=STORED)

    def _begin(self, config: NarrateConfig) -> RowSynthesizer:
        try:
            return EngineRowSynthesizer(config)
        except CodedError as exc:
            # At the start this ends the run and says what is missing; later it must not take the others' work along.
            if self._checkpoint.is_successor and isinstance(exc, SpeechError):
                return FailingRowSynthesizer(exc)
            raise _told(exc) from None

    def _finish(self, row: RowResult | GrantedRow) -> RowResult:
        if isinstance(row, RowResult):
            return row
        return self._checkpoint.finished(row.result) or self._synthesizer(row)


def failure_of(exc: BaseException) -> ActorsFailed:
    """What Ray says when actors fail, as an error of ours. What our rooms said comes through unchanged."""
    found = re.search(re.escape(_MARK) + r"(\{.*\})", str(exc))
    if found:
        told = json.loads(found.group(1))
        return ActorsFailed(told["message"], code=told["code"])
    return ActorsFailed(f"Ray could not go on ({type(exc).__name__}); run again to go on from the journal")


def _told(exc: Exception) -> RuntimeError:
    assert isinstance(exc, CodedError)  # noqa: S101 — for the type checker
    return RuntimeError(_MARK + json.dumps({"code": exc.code, "message": exc.message}))
