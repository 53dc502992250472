"""What is finished, so that a run that was cut goes on where it was, and results appear whole or not at all
(I7).

    OUT/part-00000.parquet …    the results, in the order of the script
    OUT/_SUCCESS                there while they are complete; summary.json beside them
    OUT/clips/…                 the clips
    OUT/_vouch/run-…/           the journal of a run that is not published yet; gone afterwards

One process writes the journal: the driver. Beside it lie the notes of engine actors that were lost
(actor_checkpoint.py). A later record of a row outdoes an earlier one, and the journal outdoes what is published. A
journal file that is not whole counts as never written. See docs/adr/0003-resume.md.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import OutputBusy, RowsLost
from pipelines.rows import RowResult
from pipelines.schema import RESULT, STORED
from pipelines.storage import Folder

STATE: Final = "_vouch"
SUCCESS: Final = "_SUCCESS"
SUMMARY: Final = "summary.json"
_FINISHED: Final = "finished.parquet"


class Finished(Mapping[str, RowResult]):
    """Rows of earlier runs that have a clip, by id; kept as Arrow, as there may be millions."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._at = {one: index for index, one in enumerate(table.column("id").to_pylist())}

    def __getitem__(self, row_id: str) -> RowResult:
        (record,) = self._table.slice(self._at[row_id], 1).to_pylist()
        return RowResult.from_record(record)

    def __iter__(self) -> Iterator[str]:
        return iter(self._at)

    def __len__(self) -> int:
        return len(self._at)

    def clip_ids(self) -> frozenset[str]:
        return frozenset(self._table.column("clip_id").to_pylist())


class Journal:
    """The journal of one run of one output folder."""

    def __init__(self, output: Folder) -> None:
        self._output = output
        self._past = _runs(output)
        self.run = f"{STATE}/run-{len(self._past) + 1:05d}-{secrets.token_hex(4)}"
        self._parts = 0

    def open(self) -> Finished:
        """Gather what earlier runs finished, leave it where actors can read it, and take the results back."""
        tables = [*_tables(self._output, _published(self._output))]
        for run in self._past:
            tables += _tables(self._output, list(self._output.files(run, ".parquet")))
        finished = _with_clip(_latest(pa.concat_tables(tables) if tables else STORED.empty_table()))
        self._output.write_table(f"{self.run}/{_FINISHED}", finished)
        self._output.delete(SUCCESS)
        return Finished(finished)

    @property
    def finished_name(self) -> str:
        return f"{self.run}/{_FINISHED}"

    def append(self, results: Any) -> None:
        self._output.write_table(f"{self.run}/part-{self._parts:06d}.parquet", results)
        self._parts += 1

    def results(self, ids: Any) -> Any:
        """This run's results, one per id, in the order of `ids`. Raises RowsLost otherwise."""
        names = [f"{self.run}/part-{part:06d}.parquet" for part in range(self._parts)]
        read = [self._output.read_table(name) for name in names]
        table = pa.concat_tables(read) if read else STORED.empty_table()
        places = pc.index_in(ids, value_set=table.column("id"))
        if table.num_rows != len(ids) or places.null_count:
            raise RowsLost(
                f"{len(ids)} rows in, {table.num_rows} results out, {places.null_count} rows without; "
                "nothing was published, run again to finish"
            )
        return table.take(places).select(RESULT.names).cast(RESULT)

    def publish(self, results: Any, summary: str, *, rows_per_part: int) -> None:
        """Put the results in place; the journal goes only when they are complete."""
        names = []
        for part, start in enumerate(range(0, results.num_rows, rows_per_part)):
            names.append(f"part-{part:05d}.parquet")
            self._output.write_table(names[-1], results.slice(start, rows_per_part))
        for surplus in set(_published(self._output)) - set(names):
            self._output.delete(surplus)
        self._output.write(SUMMARY, summary.encode())
        self._output.write(SUCCESS, b"")
        for run in _runs(self._output):
            self._output.delete(run)


def load_finished(output: Folder, name: str) -> Finished:
    """What `Journal.open` left for the actors."""
    return Finished(output.read_table(name))


@contextlib.contextmanager
def exclusive(output: Folder) -> Iterator[None]:
    """One run at a time per local folder; the kernel lets go when the process dies. An object store has no
    such lock: there, whoever schedules the runs must see to it. Raises OutputBusy."""
    if not output.is_local:
        yield
        return
    lock = Path(output.path(f"{STATE}/lock"))
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise OutputBusy(
                f"another run writes to {output.uri}; wait for it or choose another folder"
            ) from exc
        yield


def to_json(summary: dict[str, Any]) -> str:
    return json.dumps(summary, indent=2, sort_keys=True) + "\n"


def _runs(output: Folder) -> list[str]:
    """Folders of runs, oldest first."""
    names = {"/".join(name.split("/")[:2]) for name in output.files(STATE, ".parquet")}
    return sorted(name for name in names if name.startswith(f"{STATE}/run-"))


def _published(output: Folder) -> list[str]:
    return [name for name in output.files("", ".parquet") if "/" not in name and name.startswith("part-")]


def _tables(output: Folder, names: list[str]) -> Iterator[Any]:
    for name in names:
        with contextlib.suppress(OSError, pa.ArrowInvalid, KeyError):
            yield output.read_table(name).select(RESULT.names).cast(STORED)


def _latest(table: Any) -> Any:
    """The last record of every id."""
    numbered = table.append_column("at", pa.array(range(table.num_rows), pa.int64()))
    last = numbered.group_by("id").aggregate([("at", "max")]).column("at_max")
    return table.take(last)


def _with_clip(table: Any) -> Any:
    return table.filter(
        pc.and_(pc.is_valid(table.column("clip_id")), pc.is_valid(table.column("audio_sha256")))
    )
