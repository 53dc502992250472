"""The three stages as a Ray Data pipeline. The only place that knows both the actors and Ray's batches.

read → consent (an actor, many rows per look-up) → speak (a pool of actors, each with an engine of its own)

Synthesize and stamp share an actor, so samples stay in its memory: what travels through the object store is
text, short-lived grants and results, never audio (DESIGN I6).
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

from pipelines.actors import ConsentActor, SpeakActor
from pipelines.check import Script
from pipelines.config import NarrateConfig
from pipelines.journal import Journal
from pipelines.runtime import CONSENT_CPUS
from pipelines.schema import conform


def dataset(script: Script, config: NarrateConfig, journal: Journal) -> Any:
    """The pipeline, not yet running: a dataset in RESULT's columns, in no particular order."""
    import ray.data
    from ray.data import ActorPoolStrategy, DataContext
    from ray.util.annotations import RayDeprecationWarning

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    # The V2 reader makes one block of a whole file: it would all sit in memory before the first row is spoken.
    context.use_datasource_v2 = False
    context.enable_progress_bars = False
    common: dict[str, Any] = {"batch_size": None, "batch_format": "pyarrow", "max_restarts": -1}
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
                fn_constructor_args=(config, journal.finished_name),
                compute=ActorPoolStrategy(size=1),
                num_cpus=CONSENT_CPUS,
                # Ray's default is to try for ever: a row that kills its process would do so until someone looks.
                max_task_retries=config.lost_blocks,
                **common,
            )
            .map_batches(
                SpeakActor,
                fn_constructor_args=(config, journal.run),
                compute=ActorPoolStrategy(
                    min_size=config.engines, max_size=config.most_engines, max_tasks_in_flight_per_actor=2
                ),
                num_cpus=config.engine_cpus,
                num_gpus=config.engine_gpus or None,
                # Each replacement of an engine costs the block it happens in, and the one behind it, one attempt.
                max_task_retries=config.lost_blocks + config.engine_replacements,
                **common,
            )
        )
