"""Preflight: what is wrong with a script is said before anything is spent."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.check import check_rows, open_script
from pipelines.errors import ScriptInvalid
from pipelines.schema import RESULT, SCRIPT
from tests.assets.publisher import row, write_script


def codes(path: Path | str) -> list[str]:
    with pytest.raises(ScriptInvalid) as caught:
        open_script(str(path))
    return [fault.code for fault in caught.value.faults]


def test_a_sound_script_opens_with_its_ids_in_order(tmp_path: Path) -> None:
    script = open_script(str(write_script(tmp_path / "s.parquet", [row("b"), row("a")])))
    assert (script.rows, script.ids.to_pylist()) == (2, ["b", "a"])


def test_a_folder_is_read_in_order_of_name_without_hidden_files(tmp_path: Path) -> None:
    write_script(tmp_path / "2.parquet", [row("b")])
    write_script(tmp_path / "1.parquet", [row("a")])
    (tmp_path / "_old").mkdir()
    write_script(tmp_path / "_old" / "0.parquet", [row("z")])
    assert open_script(str(tmp_path)).ids.to_pylist() == ["a", "b"]


def test_missing_columns_are_all_named(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    pq.write_table(pa.table({"id": ["1"], "text": ["x"]}), path)
    with pytest.raises(ScriptInvalid, match="language, voice") as caught:
        open_script(str(path))
    assert caught.value.code == "columns_missing"


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("id", pa.array([1, 2])),
        ("text", pa.array([b"a", b"b"])),
        ("language", pa.array([["en"], ["en"]])),
        ("voice", pa.nulls(2)),
        ("seed", pa.array([1.5, 2.0])),
        ("seed", pa.array([1, 2], pa.uint64())),
        ("purpose", pa.array([True, False])),
    ],
)
def test_a_column_of_another_type_refuses_the_run(tmp_path: Path, column: str, values: pa.Array) -> None:
    table = pa.table({name: ["1", "2"] for name in ("id", "text", "language", "voice")})
    if column in table.column_names:
        table = table.set_column(table.column_names.index(column), column, values)
    else:
        table = table.append_column(column, values)
    pq.write_table(table, tmp_path / "s.parquet")
    assert codes(tmp_path / "s.parquet") == ["column_type"]


def test_other_ways_to_store_text_are_fine(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array(["1", "2"], pa.large_string()),
            "text": pa.array(["a", "b"], pa.string_view()),
            "language": pa.array(["en", "en"]).dictionary_encode(),
            "voice": ["preset:Vivian"] * 2,
            "purpose": pa.nulls(2),
            "seed": pa.array([1, 2], pa.int32()),
            "notes": [{"a": 1}, None],
        }
    )
    pq.write_table(table, tmp_path / "s.parquet")
    (batch,) = open_script(str(tmp_path / "s.parquet")).batches()
    assert batch.schema.names == SCRIPT.names
    assert [field.type for field in batch.schema] == [field.type for field in SCRIPT]
    assert batch.column("language").to_pylist() == ["en", "en"]


def test_a_second_file_of_another_type_is_not_cast_in_silence(tmp_path: Path) -> None:
    write_script(tmp_path / "1.parquet", [row("a")])
    table = pa.table({"id": [7], "text": ["x"], "language": ["en"], "voice": ["v"]})
    pq.write_table(table, tmp_path / "2.parquet")
    assert codes(tmp_path) == ["column_type"]


def test_ids_that_occur_twice_are_listed(tmp_path: Path) -> None:
    rows = [row(f"r{i % 7}") for i in range(20)]
    with pytest.raises(ScriptInvalid, match=r"'r0', 'r1', 'r2', 'r3', 'r4' and 2 more") as caught:
        open_script(str(write_script(tmp_path / "s.parquet", rows)))
    assert caught.value.code == "id_duplicate"


def test_ids_in_two_files_must_differ_too(tmp_path: Path) -> None:
    write_script(tmp_path / "1.parquet", [row("a")])
    write_script(tmp_path / "2.parquet", [row("a")])
    assert codes(tmp_path) == ["id_duplicate"]


def test_a_row_without_an_id_refuses_the_run(tmp_path: Path) -> None:
    rows = [row("a"), {**row("x"), "id": None}, row("")]
    with pytest.raises(ScriptInvalid, match="2 rows have no id") as caught:
        open_script(str(write_script(tmp_path / "s.parquet", rows)))
    assert caught.value.code == "id_missing"


def test_an_empty_script_is_said_to_be_empty(tmp_path: Path) -> None:
    pq.write_table(SCRIPT.empty_table(), tmp_path / "s.parquet")
    assert codes(tmp_path / "s.parquet") == ["input_empty"]


@pytest.mark.parametrize("content", [b"", b"id,text\n1,a\n", b"PAR1" + bytes(64)])
def test_what_is_not_parquet_is_said_to_be_unreadable(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.parquet").write_bytes(content)
    assert codes(tmp_path / "s.parquet") == ["input_unreadable"]


def test_a_cut_off_file_is_unreadable(tmp_path: Path) -> None:
    path = write_script(tmp_path / "s.parquet", [row(str(i)) for i in range(100)])
    path.write_bytes(path.read_bytes()[:-20])
    assert codes(path) == ["input_unreadable"]


def test_a_missing_file_an_empty_folder_and_an_unknown_scheme_are_unreadable(tmp_path: Path) -> None:
    for uri in (str(tmp_path / "none.parquet"), str(tmp_path), "nosuch://x/y"):
        assert codes(uri) == ["input_unreadable"]


def test_faults_of_rows_are_counted_by_code_with_their_first_ids(tmp_path: Path) -> None:
    rows = [
        row("ok"),
        row("null", None),
        row("blank", "  "),
        row("bell", "ring\x07"),
        row("no", language="xx"),
    ]
    rows += [row("long", "a" * 5000), {**row("voiceless"), "voice": None}]
    found = check_rows(open_script(str(write_script(tmp_path / "s.parquet", rows))))
    assert found.counts == {
        "text_empty": 2,
        "text_control_characters": 1,
        "language_unsupported": 1,
        "text_too_long": 1,
        "voice_empty": 1,
    }
    assert found.first_ids["text_empty"] == ["null", "blank"]
    assert found.rows == 7


def test_a_result_has_no_column_that_could_hold_a_text() -> None:
    assert not {"text", "instruct", "said_text", "grant"} & set(RESULT.names)
