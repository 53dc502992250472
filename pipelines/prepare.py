"""From CSV or JSON Lines to a script: columns by name, one row per record, typed as SCRIPT says.

Nothing is guessed and nothing is dropped in silence: a value that does not fit its column is a fault with its
line. What is merely unspeakable (an empty text, an unknown language) stays in, and becomes its row's status.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from foundation.private_files import replacing
from pipelines.check import Script, open_script
from pipelines.errors import Fault, ScriptInvalid
from pipelines.schema import REQUIRED, SCRIPT

_BATCH: Final = 10_000
_COLUMNS: Final = pa.schema([field.with_nullable(True) for field in SCRIPT])
_INT64: Final = range(-(2**63), 2**63)


class Defaults(BaseModel):
    """For records that lack a column or leave it empty."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str | None = None
    voice: str | None = None
    purpose: str | None = None
    instruct: str | None = None
    id_prefix: str | None = Field(
        default=None, description="Number the records that have no id: prefix and position, from 1."
    )


@dataclass(frozen=True, slots=True)
class _Record:
    line: int
    values: dict[str, Any]


def prepare_script(source: Path, target: Path, defaults: Defaults | None = None) -> Script:
    """Write `target` from a .csv, .jsonl or .ndjson file in UTF-8, and check it. Returns the opened script.

    Raises ScriptInvalid (input_unreadable, columns_missing, column_type, id_missing, id_duplicate,
    input_empty); no `target` is left then.
    """
    defaults = defaults or Defaults()
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as unfinished_copy:
        records = (_row(record, defaults, index) for index, record in enumerate(_records(source), start=1))
        _write(records, unfinished_copy)
        open_script(str(unfinished_copy))
    return open_script(str(target))


def _records(source: Path) -> Iterator[_Record]:
    readers = {".csv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines}
    reader = readers.get(source.suffix.lower())
    if reader is None:
        raise _unreadable(f"{source} is none of {', '.join(readers)}")
    try:
        # utf-8-sig: spreadsheets write a byte order mark. newline="": quoted line breaks belong to the text.
        with source.open(encoding="utf-8-sig", newline="") as file:
            yield from reader(file)
    except FileNotFoundError as exc:
        raise _unreadable(f"{source} does not exist") from exc
    except UnicodeDecodeError as exc:
        raise _unreadable(f"{source} is not UTF-8") from exc
    except csv.Error as exc:
        raise _unreadable(f"{source} is not CSV: {exc}") from exc


def _csv(file: Iterable[str]) -> Iterator[_Record]:
    reader = csv.DictReader(file, strict=True)
    for record in reader:
        if None in record:
            raise _unreadable(f"line {reader.line_num} has more values than the header has columns")
        yield _Record(reader.line_num, {name: value or None for name, value in record.items()})


def _json_lines(file: Iterable[str]) -> Iterator[_Record]:
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise _unreadable(f"line {line} is not a JSON object")
        yield _Record(line, record)


def _row(record: _Record, defaults: Defaults, position: int) -> dict[str, Any]:
    fallback: dict[str, Any] = defaults.model_dump(exclude={"id_prefix"})
    if defaults.id_prefix is not None:
        fallback["id"] = f"{defaults.id_prefix}{position}"
    missing = [name for name in REQUIRED if name not in record.values and fallback.get(name) is None]
    if missing:
        raise ScriptInvalid(
            (
                Fault(
                    "columns_missing",
                    f"line {record.line} has no {', '.join(missing)}; give a default for it",
                ),
            )
        )
    return {name: _value(name, record, fallback.get(name)) for name in SCRIPT.names}


def _value(name: str, record: _Record, fallback: str | None) -> str | int | None:
    value = record.values.get(name)
    if value is None or value == "":
        # An empty text stays empty: its row is refused with text_empty rather than lost.
        return value if fallback is None else fallback
    if name != "seed":
        if not isinstance(value, str) or not _is_utf8(value):
            raise _wrong_type(name, record.line, "text")
        return value
    if isinstance(value, str) and value.strip().lstrip("-").isascii() and value.strip().lstrip("-").isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value not in _INT64:
        raise _wrong_type(name, record.line, "a whole number of 64 bits")
    return value


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # JSON can hold half a surrogate pair; Arrow cannot
        return False
    return True


def _write(rows: Iterator[dict[str, Any]], target: Path) -> None:
    with pq.ParquetWriter(target, _COLUMNS, compression="zstd") as writer:
        while batch := list(itertools.islice(rows, _BATCH)):
            writer.write_table(pa.Table.from_pylist(batch, schema=_COLUMNS))


def _unreadable(message: str) -> ScriptInvalid:
    return ScriptInvalid((Fault("input_unreadable", message),))


def _wrong_type(name: str, line: int, wanted: str) -> ScriptInvalid:
    return ScriptInvalid((Fault("column_type", f"{name} in line {line} is not {wanted}"),))
