"""Preflight: is this a script? Needs no GPU, no Ray and no ledger, and writes nothing.

A fault of the whole file refuses the run before anything is spent: then every row would be in doubt. A fault
of one row is that row's status in the results, so that one bad line does not hold up a million good ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pat

from pipelines.errors import Fault, ScriptInvalid
from pipelines.rows import ScriptRow
from pipelines.schema import REQUIRED, SCRIPT, conform
from speech.errors import TextError
from speech.text import MAX_CHARACTERS

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Script:
    """A script whose structure is sound. ids: in the order of the rows, unique, none null."""

    files: tuple[str, ...]
    filesystem: Any
    ids: Any = field(repr=False)  # pyarrow.ChunkedArray of string

    @property
    def rows(self) -> int:
        return len(self.ids)

    def batches(self) -> Iterator[Any]:
        """Record batches in SCRIPT's columns, in order."""
        for file in self.files:
            with self.filesystem.open(file) as handle:
                parquet = pq.ParquetFile(handle)
                for batch in parquet.iter_batches(columns=_known(parquet.schema_arrow), batch_size=4096):
                    yield conform(pa.Table.from_batches([batch]))


@dataclass(frozen=True, slots=True)
class RowFaults:
    """What `check_rows` found: how many rows have which code, and the first ids of each."""

    rows: int
    characters: int
    counts: dict[str, int]
    first_ids: dict[str, list[str]]


def open_script(uri: str) -> Script:
    """Read structure and ids. Raises ScriptInvalid with everything that is wrong."""
    try:
        filesystem, path = fsspec.core.url_to_fs(uri)
        files = _files(filesystem, path)
        if not files:
            raise FileNotFoundError
        for file in files:  # each on its own: a reader of many takes the first one's schema for all
            with filesystem.open(file) as handle:
                _refuse(_column_faults(pq.read_schema(handle), file))
        columns = [_read_ids(filesystem, file) for file in files]
    except (OSError, pa.ArrowException, ImportError, ValueError) as exc:
        hint = "give a Parquet file or a folder of them, or make one with `vouch scripts prepare`"
        raise ScriptInvalid((Fault("input_unreadable", f"{uri} cannot be read as Parquet; {hint}"),)) from exc
    ids = pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string())
    _refuse(_id_faults(ids, uri))
    return Script(tuple(files), filesystem, ids)


def check_rows(script: Script, *, max_characters: int = MAX_CHARACTERS) -> RowFaults:
    """Look at every row as the consent stage will, without asking the ledger."""
    counts: Counter[str] = Counter()
    first: dict[str, list[str]] = {}
    characters = 0
    for batch in script.batches():
        for row in batch.to_pylist():
            try:
                characters += ScriptRow(**row).utterance(max_characters=max_characters).characters
            except TextError as exc:
                counts[exc.code] += 1
                if counts[exc.code] <= _SHOWN:
                    first.setdefault(exc.code, []).append(row["id"])
    return RowFaults(script.rows, characters, dict(counts), first)


def _read_ids(filesystem: Any, file: str) -> Any:
    with filesystem.open(file) as handle:
        return pc.cast(pq.read_table(handle, columns=["id"]).column("id"), pa.string())


def _files(filesystem: Any, path: str) -> list[str]:
    """The file, or a folder's Parquet files in order of name; what starts with _ or . is not data."""
    if not filesystem.isdir(path):
        return [path]
    names = sorted(filesystem.find(path))
    inside = [(name, name[len(path.rstrip("/")) + 1 :]) for name in names]
    return [
        name
        for name, rest in inside
        if rest.endswith(".parquet") and not any(part[0] in "_." for part in rest.split("/"))
    ]


def _known(schema: Any) -> list[str]:
    return [name for name in SCRIPT.names if name in schema.names]


def _column_faults(schema: Any, file: str) -> list[Fault]:
    faults = []
    missing = [name for name in REQUIRED if name not in schema.names]
    if missing:
        needed = ", ".join(REQUIRED)
        faults.append(
            Fault("columns_missing", f"{file} lacks {', '.join(missing)}; it needs the columns {needed}")
        )
    for name in _known(schema):
        wanted, found = SCRIPT.field(name).type, schema.field(name).type
        if schema.names.count(name) > 1:
            faults.append(Fault("column_type", f"{file} has column {name} more than once"))
        elif not _castable(found, wanted, required=name in REQUIRED):
            faults.append(Fault("column_type", f"column {name} of {file} is {found}; make it {wanted}"))
    return faults


def _castable(found: Any, wanted: Any, *, required: bool) -> bool:
    """Other ways to store the same values are fine; other values are not (no number becomes an id)."""
    if pat.is_null(found):
        return not required
    if pat.is_dictionary(found):
        found = found.value_type
    if pat.is_string(wanted):
        return bool(pat.is_string(found) or pat.is_large_string(found) or pat.is_string_view(found))
    return bool(pat.is_integer(found) and found != pa.uint64())


def _id_faults(ids: Any, uri: str) -> list[Fault]:
    if len(ids) == 0:
        return [Fault("input_empty", f"{uri} has no rows")]
    faults = []
    blank = ids.null_count + (pc.sum(pc.equal(ids, "")).as_py() or 0)
    if blank:
        faults.append(Fault("id_missing", f"{blank} rows have no id; every row needs one of its own"))
    counted = pc.value_counts(ids.drop_null())
    twice = counted.filter(pc.greater(counted.field("counts"), 1)).field("values")
    twice = twice.filter(pc.not_equal(twice, ""))
    if len(twice):
        shown = ", ".join(repr(one.as_py()) for one in twice[:_SHOWN])
        more = f" and {len(twice) - _SHOWN} more" if len(twice) > _SHOWN else ""
        faults.append(Fault("id_duplicate", f"ids that occur more than once: {shown}{more}"))
    return faults


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise ScriptInvalid(tuple(faults))
