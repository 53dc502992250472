"""Narrate a script: one result for each row, also across kill and resume (DESIGN I7).

Check the script, give every row a result in a journal, publish when none is missing.
See docs/narration.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pyarrow.compute as pc

from consent_service.service import ConsentService
from pipelines.actors import failure_of
from pipelines.check import Script, open_script
from pipelines.config import NarrateConfig, NarrateSummary, Progress
from pipelines.flow import dataset
from pipelines.journal import Finished, Journal, exclusive, to_json
from pipelines.row_synthesizer import principal_of
from pipelines.runtime import ray_for
from pipelines.stages.clips import OutputClips
from pipelines.storage import Folder

ProgressCallback = Callable[[Progress], None]


def narrate(config: NarrateConfig, progress: ProgressCallback = lambda _: None) -> NarrateSummary:
    """Run, or go on with, a narration; blocks until every row has a result.

    `progress` is called from this thread, at every stage and after every block.
    Raises ScriptInvalid, OutputBusy, ActorsFailed, RowsLost, or a ConsentError when the key or the ledger is
    not good; nothing was spent then, or all that was spent is in the journal.
    """
    started = time.monotonic()
    progress(Progress(stage="check"))
    script = open_script(config.input)
    output = Folder(config.output)
    _require_key(config, output)
    with exclusive(output):
        journal = Journal(output)
        finished = journal.open()
        progress(Progress(stage="start", rows_in=script.rows))
        with ray_for(config):
            kept = _run(script, config, journal, finished, progress)
        results = journal.results(script.ids)
        summary = _summary(results, kept, config, time.monotonic() - started)
        counts = _counts(summary)
        progress(Progress(stage="publish", **counts))
        journal.publish(results, to_json(summary.model_dump()), rows_per_part=config.rows_per_part)
        _sweep(OutputClips(output), results)
    progress(Progress(stage="done", **counts))
    return summary


def _require_key(config: NarrateConfig, output: Folder) -> None:
    service = ConsentService.open(config.consent)
    try:
        tenant = principal_of(service, config).tenant
        service.clips.register_store(output.uri, "output", tenant=tenant)  # before any clip lies in it
    finally:
        service.close()


def _run(
    script: Script, config: NarrateConfig, journal: Journal, finished: Finished, progress: ProgressCallback
) -> int:
    """Returns how many rows were kept from earlier runs."""
    import ray.exceptions

    earlier = finished.clip_ids()
    tally = Tally(script.rows)
    try:
        rows = dataset(script, config, journal)
        for block in rows.iter_batches(batch_size=None, batch_format="pyarrow"):
            if block.num_rows:
                journal.append(block)
                progress(tally.add(block, earlier))
    except (ray.exceptions.RayError, RuntimeError) as exc:
        raise failure_of(exc) from exc
    return tally.kept


class Tally:
    """Counts blocks as they come."""

    def __init__(self, rows_in: int) -> None:
        self._rows_in = rows_in
        self._counts = {"ok": 0, "refused": 0, "error": 0}
        self.kept = 0
        self._seconds = 0.0
        self._seconds_since = 0.0
        self._since: float | None = None

    def add(self, block: Any, earlier: frozenset[str]) -> Progress:
        now = time.monotonic()
        # The rate counts from the first block on: before it, engines were loading.
        since = self._since = self._since or now
        for row in block.select(["status", "clip_id", "seconds"]).to_pylist():
            self._counts[row["status"]] += 1
            if row["status"] == "ok":
                kept = row["clip_id"] in earlier
                self.kept += kept
                self._seconds += row["seconds"]
                self._seconds_since += 0.0 if kept or now == since else row["seconds"]
        return Progress(
            stage="narrate",
            rows_in=self._rows_in,
            rows_done=sum(self._counts.values()),
            kept=self.kept,
            seconds_audio=self._seconds,
            audio_rate=self._seconds_since / (now - since) if now > since else 0.0,
            **self._counts,
        )


def _summary(results: Any, kept: int, config: NarrateConfig, seconds: float) -> NarrateSummary:
    statuses = {
        pair["values"]: pair["counts"] for pair in pc.value_counts(results.column("status")).to_pylist()
    }
    codes = pc.value_counts(results.column("code").drop_null()).to_pylist()
    spoken = results.filter(pc.equal(results.column("status"), "ok"))
    return NarrateSummary(
        rows_in=results.num_rows,
        ok=statuses.get("ok", 0),
        refused=statuses.get("refused", 0),
        error=statuses.get("error", 0),
        kept=kept,
        codes={pair["values"]: pair["counts"] for pair in codes},
        seconds_audio=pc.sum(spoken.column("seconds")).as_py() or 0.0,
        seconds_wall=seconds,
        output=config.output,
    )


def _counts(summary: NarrateSummary) -> dict[str, Any]:
    names = ("rows_in", "ok", "refused", "error", "kept", "seconds_audio")
    return {"rows_done": summary.rows_in, **{name: getattr(summary, name) for name in names}}


def _sweep(clips: OutputClips, results: Any) -> None:
    """Remove clips that no row has: of rows that changed or went, and of blocks that were lost half done."""
    clips.keep_only(frozenset(results.column("clip_id").drop_null().to_pylist()))
