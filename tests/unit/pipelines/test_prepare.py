"""CSV and JSON Lines become scripts without guessing and without losing a record."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import ScriptInvalid
from pipelines.prepare import Defaults, prepare_script


def rows_of(source: Path, **defaults: str) -> list[dict[str, object]]:
    script = prepare_script(source, source.with_suffix(".parquet"), Defaults(**defaults))
    return [record for batch in script.batches() for record in batch.to_pylist()]


def test_csv_becomes_rows_in_order_with_defaults_for_what_is_empty(tmp_path: Path) -> None:
    source = tmp_path / "s.csv"
    source.write_bytes('﻿id,text,language,seed\r\n1,"Two\r\nlines, one row",,7\r\n2,,de,\r\n'.encode())
    first, second = rows_of(source, language="en", voice="preset:Vivian")
    assert (first["text"], first["language"], first["seed"]) == ("Two\r\nlines, one row", "en", 7)
    assert (second["text"], second["language"], second["voice"]) == (None, "de", "preset:Vivian")


def test_json_lines_become_rows_and_may_be_numbered(tmp_path: Path) -> None:
    source = tmp_path / "s.jsonl"
    source.write_text(
        '{"text": "Ja.", "language": "de", "seed": -3, "extra": []}\n\n{"text": "", "language": "de"}\n'
    )
    rows = rows_of(source, voice="preset:Vivian", id_prefix="line-")
    assert [(row["id"], row["text"], row["seed"]) for row in rows] == [
        ("line-1", "Ja.", -3),
        ("line-2", "", None),
    ]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("s.csv", b"id,text,language,voice\n1,\xff\xfe,en,v\n", "input_unreadable"),
        ("s.csv", b"id,text,language,voice\n1,a,en,v,too many\n", "input_unreadable"),
        ("s.csv", b'id,text,language,voice\n1,"a" b,en,v\n', "input_unreadable"),
        ("s.csv", b"id,text\n1,a\n", "columns_missing"),
        ("s.csv", b"id,text,language,voice,seed\n1,a,en,v,1.5\n", "column_type"),
        ("s.csv", b"id,text,language,voice,seed\n1,a,en,v,9223372036854775808\n", "column_type"),
        ("s.csv", b"id,text,language,voice\n1,a,en,v\n1,b,en,v\n", "id_duplicate"),
        ("s.csv", b"id,text,language,voice\n,a,en,v\n", "id_missing"),
        ("s.csv", b"", "input_empty"),
        ("s.jsonl", b"[1, 2]\n", "input_unreadable"),
        ("s.jsonl", b'{"id": "1"\n', "input_unreadable"),
        ("s.jsonl", b"[" * 100_000, "input_unreadable"),
        ("s.jsonl", b'{"id": 1, "text": "a", "language": "en", "voice": "v"}\n', "column_type"),
        ("s.jsonl", b'{"id": "1", "text": "\\ud800", "language": "en", "voice": "v"}\n', "column_type"),
        ("s.jsonl", b'{"id": "1", "text": "a", "language": "en", "voice": "v", "seed": true}', "column_type"),
        ("s.txt", b"Hello\n", "input_unreadable"),
    ],
)
def test_what_does_not_fit_is_told_and_leaves_nothing(
    tmp_path: Path, name: str, content: bytes, code: str
) -> None:
    source = tmp_path / name
    source.write_bytes(content)
    with pytest.raises(ScriptInvalid) as caught:
        prepare_script(source, tmp_path / "out.parquet")
    assert caught.value.code == code
    assert [path.name for path in tmp_path.iterdir()] == [name]
