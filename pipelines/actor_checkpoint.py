"""What an engine actor leaves to the process that takes its place, once its engine can never speak again.

A lost device takes its process along: a CUDA context that has failed ends only with it. So the actor ends itself in
the middle of a block; Ray starts it anew and gives it the same block again. What of the block was finished lies in a
note beside the journal, and is not spoken again: no second grant, no second clip (DESIGN I3, I7). The notes are also
the count of replacements, which is bounded. They are written before the process ends, never after, and hold results
alone: no text, no audio. See docs/adr/0026-a-lost-device-ends-its-process.md.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import pyarrow as pa

from pipelines.rows import RowResult
from pipelines.schema import STORED
from pipelines.storage import Folder

log = logging.getLogger("vouch.narrate")


class ActorCheckpoint:
    """The notes of one actor in one run. actor: an id that stays the same when Ray starts the actor anew.

    most: how often the actor may be replaced. Raises OSError when earlier notes cannot be read.
    """

    def __init__(self, output: Folder, run: str, actor: str, *, most: int) -> None:
        self._output = output
        # In the run's folder, so that a resume finds what is in them; before "part-", so that the journal outdoes them.
        self._prefix = f"{run}/lost-{actor}-"
        self._most = most
        names = [name for name in output.files(run, ".parquet") if name.startswith(self._prefix)]
        self._replaced = len(names)
        self._finished = {
            record["id"]: RowResult.from_record(record)
            for name in names
            for record in output.read_table(name).to_pylist()
        }

    @property
    def is_successor(self) -> bool:
        """Whether this process stands in for one whose engine was lost."""
        return self._replaced > 0

    def finished(self, row: RowResult) -> RowResult | None:
        """What became of a row under a predecessor, if that was the same row and it was finished."""
        done = self._finished.get(row.id)
        return done if done is not None and done.row_digest == row.row_digest else None

    def save(self, results: Iterable[RowResult]) -> bool:
        """Write down what is finished. False: stay, as there were replacements enough or the note cannot be written.

        A row that ended as an error is not finished: it may have been the device's fault.
        """
        if self._replaced >= self._most:
            return False
        finished = [result.record() for result in results if result.status != "error"]
        try:
            self._output.write_table(
                f"{self._prefix}{self._replaced:04d}.parquet", pa.Table.from_pylist(finished, schema=STORED)
            )
        except Exception as exc:  # noqa: BLE001 — whatever a storage raises: without a note, rows would be spoken twice
            log.warning(
                "no note for a successor (%s): this engine actor stays, and refuses", type(exc).__name__
            )
            return False
        log.warning("an engine was lost; its actor is replaced (%d of %d)", self._replaced + 1, self._most)
        return True
