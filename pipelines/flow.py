"""The three stages as a Ray Data pipeline. The only place that knows both the stages and Ray's batches.

read → consent (an actor, many rows per look-up) → speak (a pool of actors, each with an engine of its own)

Synthesize and stamp share an actor, so samples stay in its memory: what travels through the object store is
text, short-lived grants and results, never audio (DESIGN I6).
"""

from __future__ import annotations

import json
import logging
import re
import resource
import secrets
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from typing import Any, Final

import pyarrow as pa

from consent_service.errors import ConsentError
from consent_service.models import Principal
from consent_service.sealing import ReplicaKey, load_node_secret
from consent_service.service import ConsentService
from pipelines.check import Script
from pipelines.config import NarrateConfig
from pipelines.errors import ActorsFailed, PipelineError
from pipelines.journal import load_finished
from pipelines.keyfile import read_key_file
from pipelines.rows import Ready, RowResult, ScriptRow, decided_from, decided_record
from pipelines.runtime import CONSENT_CPUS
from pipelines.schema import DECIDED, RESULT, SCRIPT, conform
from pipelines.stages import Consent, Stamp, Synthesize
from pipelines.stages.clips import ClipStore
from pipelines.storage import Folder
from pipelines.watch import RevocationWatch
from provenance.errors import ProvenanceError
from provenance.profiles.profile import load_profile
from provenance.stamp import Stamper
from speech.errors import SpeechError
from speech.load import load_engine

_STORED: Final = pa.schema([field.with_nullable(True) for field in RESULT])
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
                ClipStore(output, config.delivery.format),
                load_finished(output, finished),
                model=config.model_identity,
                purpose=config.purpose,
                max_characters=config.engine.max_characters,
                lexicon=config.lexicon,
                disclaimer=partial(
                    load_profile(config.consent.disclosure_profile).spoken, asked=config.spoken_disclaimer
                ),
            )
        except _OURS as exc:
            raise _told(exc) from None

    def __call__(self, batch: Any) -> Any:
        rows = [ScriptRow(**record) for record in batch.select(SCRIPT.names).to_pylist()]
        return pa.Table.from_pylist([decided_record(one) for one in self._stage(rows)], schema=DECIDED)


class SpeakActor:
    """Speaks and stamps rows, a few at a time. Holds an engine, and a key that no other process has."""

    def __init__(self, config: NarrateConfig) -> None:
        # A core dump would hold reference recordings.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            service = ConsentService.open(config.consent)
            engine = load_engine(config.engine)
            engine.warm_up()
            self._synthesize = Synthesize(
                service,
                lambda: principal_of(service, config),
                engine,
                ReplicaKey(f"narrate-{secrets.token_hex(8)}"),
                load_node_secret(config.consent.data_dir),
            )
            self._stamp = Stamp(
                service,
                Stamper(service.keys),
                ClipStore(Folder(config.output), config.delivery.format),
                engine.info,
                provider=config.consent.provider,
                system_version=version("vouch"),
                wanted=config.delivery,
                profile=config.consent.disclosure_profile,
            )
            self._watch = RevocationWatch(service, engine)
        except _OURS as exc:
            raise _told(exc) from None
        self._threads = ThreadPoolExecutor(config.rows_in_flight, thread_name_prefix="row")

    def __call__(self, batch: Any) -> Any:
        decided = [decided_from(record) for record in batch.to_pylist()]
        results = self._threads.map(self._finish, decided)
        return pa.Table.from_pylist([result.record() for result in results], schema=_STORED)

    def _finish(self, row: RowResult | Ready) -> RowResult:
        if isinstance(row, RowResult):
            return row
        spoken = self._synthesize(row)
        return spoken if isinstance(spoken, RowResult) else self._stamp(spoken)


def principal_of(service: ConsentService, config: NarrateConfig) -> Principal:
    """Who runs this narration. Asked again for every decision, so that a revoked key stops at once."""
    return service.authenticate(read_key_file(config.api_key_file))


def dataset(script: Script, config: NarrateConfig, finished: str) -> Any:
    """The pipeline, not yet running: a dataset in RESULT's columns, in no particular order."""
    import ray.data
    from ray.data import ActorPoolStrategy, DataContext
    from ray.util.annotations import RayDeprecationWarning

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    # The V2 reader makes one block of a whole file: it would all sit in memory before the first row is spoken.
    context.use_datasource_v2 = False
    context.enable_progress_bars = False
    common: dict[str, Any] = {
        "batch_size": None,
        "batch_format": "pyarrow",
        # Ray's default is to try for ever: a row that kills its engine would do so until someone looks.
        "max_restarts": -1,
        "max_task_retries": config.lost_blocks,
    }
    with warnings.catch_warnings():
        # Deprecated for 2.64, but 2.60 has no other way to bound the attempts.
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return (
            ray.data.read_parquet(
                list(script.files), filesystem=script.filesystem, partitioning=None, file_extensions=None
            )
            # Task stages with default resources, so that Ray fuses the cut into small blocks with the cast.
            .map_batches(conform, batch_size=config.rows_per_block, batch_format="pyarrow")
            .repartition(target_num_rows_per_block=config.rows_per_block)
            .map_batches(
                ConsentActor,
                fn_constructor_args=(config, finished),
                compute=ActorPoolStrategy(size=1),
                num_cpus=CONSENT_CPUS,
                **common,
            )
            .map_batches(
                SpeakActor,
                fn_constructor_args=(config,),
                compute=ActorPoolStrategy(
                    min_size=config.engines, max_size=config.most_engines, max_tasks_in_flight_per_actor=2
                ),
                num_cpus=config.engine_cpus,
                num_gpus=config.engine_gpus or None,
                **common,
            )
        )


def failure_of(exc: BaseException) -> ActorsFailed:
    """What Ray says when actors fail, as an error of ours. What our rooms said comes through unchanged."""
    found = re.search(re.escape(_MARK) + r"(\{.*\})", str(exc))
    if found:
        told = json.loads(found.group(1))
        return ActorsFailed(told["message"], code=told["code"])
    return ActorsFailed(f"Ray could not go on ({type(exc).__name__}); run again to go on from the journal")


_OURS: Final = (ConsentError, SpeechError, ProvenanceError, PipelineError)


def _told(exc: Exception) -> RuntimeError:
    # Ray hands an actor's failure on as text alone.
    assert isinstance(exc, _OURS)  # noqa: S101 — for the type checker
    return RuntimeError(_MARK + json.dumps({"code": exc.code, "message": exc.message}))
