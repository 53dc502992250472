"""How fast a batch goes through the offline door, all stages and Ray's own start included."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.config import NarrateConfig, Progress
from pipelines.keyfile import write_key_file
from pipelines.narrate import narrate
from speech.config import EngineConfig
from vouch.bench.figures import Figure
from vouch.bench.house import PURPOSE, House, temporary_house
from vouch.output import Failed


def measure(rows: int, *, engines: int = 1) -> Iterator[Figure]:
    """Rows per second: `run` from start to results, `flow` from the first block on, when Ray and engines are up."""
    with temporary_house() as house:
        folder = house.config.data_dir.parent
        script = folder / "script.parquet"
        pq.write_table(_script(house, rows), script)
        config = NarrateConfig(
            input=str(script),
            output=str(folder / "out"),
            consent=house.config,
            engine=EngineConfig(name="embedded"),
            api_key_file=write_key_file(folder / "narrator.key", house.narrator_key),
            engines=engines,
            rows_per_block=max(1, min(25, rows // 6)),
        )
        seen: list[tuple[float, Progress]] = []

        def report(progress: Progress) -> None:
            if progress.stage == "narrate":
                seen.append((time.perf_counter(), progress))

        summary = narrate(config, report)
        if summary.ok != rows:
            raise Failed("rows_not_spoken", f"only {summary.ok} of {rows} rows were spoken: {summary.codes}")
        case = f"embedded-{rows}-rows-{engines}-engines"
        yield Figure("narrate", f"{case}-run", summary.rows_in / summary.seconds_wall, "rows/s")
        if len(seen) > 1:
            (began, first), (ended, last) = seen[0], seen[-1]
            flow = (last.rows_done - first.rows_done) / (ended - began)
            yield Figure("narrate", f"{case}-flow", flow, "rows/s")


def _script(house: House, rows: int) -> pa.Table:
    """A third of the rows in the enrolled voice, the rest in presets; no two alike, so that no cache helps."""
    voices = (house.voice_id, "preset:Vivian", "preset:Ryan")
    return pa.table(
        {
            "id": [f"row-{number:06d}" for number in range(rows)],
            "text": [f"Sentence number {number}: the lamp was lit at nine." for number in range(rows)],
            "language": ["en"] * rows,
            "voice": [voices[number % len(voices)] for number in range(rows)],
            "purpose": [PURPOSE] * rows,
        }
    )
