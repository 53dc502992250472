"""What is finished stays finished, and results appear whole or not at all."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import OutputBusy, RowsLost
from pipelines.journal import Journal, exclusive, load_finished
from pipelines.rows import RowResult
from pipelines.schema import RESULT
from pipelines.stages.clips import OutputClips
from pipelines.storage import Folder

NULLABLE = pa.schema([field.with_nullable(True) for field in RESULT])


def result(row_id: str, status: Any = "ok", clip_id: str | None = "c" * 32, digest: str = "d") -> RowResult:
    clip = {"clip_id": clip_id, "audio_sha256": "s" if clip_id else None, "seconds": 1.0}
    return RowResult(row_id, status, None if status == "ok" else "code", None, digest, **clip)


def block(*results: RowResult) -> pa.Table:
    return pa.Table.from_pylist([one.record() for one in results], schema=NULLABLE)


def ids(*names: str) -> pa.ChunkedArray:
    return pa.chunked_array([list(names)], pa.string())


@pytest.fixture
def out(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "out"))


def published(out: Folder) -> list[dict[str, Any]]:
    names = sorted(path.name for path in Path(out.root).glob("part-*.parquet"))
    return [row for name in names for row in pq.read_table(out.path(name)).to_pylist()]


def run(out: Folder, *results: RowResult, rows_per_part: int = 100) -> None:
    journal = Journal(out)
    journal.open()
    journal.append(block(*results))
    table = journal.results(ids(*sorted(one.id for one in results)))
    journal.publish(table, json.dumps({}), rows_per_part=rows_per_part)


def test_results_are_published_in_the_order_of_the_script_and_the_journal_goes(out: Folder) -> None:
    journal = Journal(out)
    journal.open()
    journal.append(block(result("c"), result("a")))
    journal.append(block(result("b", "refused", None)))
    table = journal.results(ids("a", "b", "c"))
    journal.publish(table, "{}", rows_per_part=2)
    assert [row["id"] for row in published(out)] == ["a", "b", "c"]
    assert pq.read_schema(out.path("part-00000.parquet")).equals(RESULT)
    names = sorted(str(path.relative_to(out.root)) for path in Path(out.root).rglob("*") if path.is_file())
    assert names == ["_SUCCESS", "part-00000.parquet", "part-00001.parquet", "summary.json"]


@pytest.mark.parametrize("given", [["a"], ["a", "b", "b"], ["a", "b", "z"], ["a", "z"]])
def test_nothing_is_published_unless_every_row_has_one_result(out: Folder, given: list[str]) -> None:
    journal = Journal(out)
    journal.open()
    journal.append(block(*(result(one) for one in given)))
    with pytest.raises(RowsLost):
        journal.results(ids("a", "b"))
    assert published(out) == []


def test_what_a_killed_run_finished_is_found_again(out: Folder) -> None:
    run(out, result("a", digest="old"), result("b", digest="old"), result("c", digest="old"))
    killed = Journal(out)
    killed.open()
    killed.append(block(result("a", digest="new"), result("b", "refused", None)))
    finished = Journal(out).open()
    assert {one: finished[one].row_digest for one in finished} == {"a": "new", "c": "old"}


def test_a_later_run_outdoes_an_earlier_one(out: Folder) -> None:
    for digest in ("first", "second"):
        journal = Journal(out)
        journal.open()
        journal.append(block(result("a", digest=digest)))
    assert Journal(out).open()["a"].row_digest == "second"


def test_a_journal_file_that_was_cut_off_counts_as_never_written(out: Folder) -> None:
    journal = Journal(out)
    journal.open()
    for row_id in ("a", "b", "c"):
        journal.append(block(result(row_id)))
    cut = Path(out.path(f"{journal.run}/part-000001.parquet"))
    cut.write_bytes(cut.read_bytes()[:-7])
    Path(out.path(f"{journal.run}/part-000002.parquet")).write_bytes(b"")
    assert list(Journal(out).open()) == ["a"]


def test_results_are_not_marked_complete_while_a_run_is_on(out: Folder) -> None:
    run(out, result("a"))
    assert out.exists("_SUCCESS")
    Journal(out).open()
    assert not out.exists("_SUCCESS")


def test_parts_of_a_longer_script_do_not_outlive_it(out: Folder) -> None:
    run(out, *(result(str(i)) for i in range(5)), rows_per_part=1)
    run(out, result("0"), rows_per_part=1)
    assert [row["id"] for row in published(out)] == ["0"]


def test_actors_read_what_the_driver_gathered(out: Folder) -> None:
    run(out, result("a"), result("b", "error", None))
    journal = Journal(out)
    assert dict(load_finished(out, _opened(journal))) == dict(journal.open())


def _opened(journal: Journal) -> str:
    assert list(journal.open()) == ["a"]
    return journal.finished_name


def test_two_runs_do_not_write_to_one_folder(out: Folder) -> None:
    script = "import sys\nfrom pipelines.journal import exclusive\nfrom pipelines.storage import Folder\n"
    script += "with exclusive(Folder(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    other = subprocess.Popen(
        [sys.executable, "-c", script, out.uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(OutputBusy), exclusive(out):
            pass
        other.kill()
    with exclusive(out):
        pass  # a dead process holds nothing


def test_a_half_written_file_is_never_seen(out: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    out.write("part-00000.parquet", b"whole")
    monkeypatch.setattr(
        "foundation.private_files.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full"))
    )
    with pytest.raises(OSError, match="full"):
        out.write("part-00000.parquet", b"half")
    assert [path.name for path in Path(out.root).iterdir()] == ["part-00000.parquet"]
    assert out.read("part-00000.parquet") == b"whole"


def test_the_same_code_writes_to_an_object_store() -> None:
    store = Folder("memory://bucket/out")
    run(store, result("b"), result("a"))
    assert Folder(store.uri).root == store.root
    table = store.read_table("part-00000.parquet")
    assert table.column("id").to_pylist() == ["a", "b"]
    clips = OutputClips(pickle.loads(pickle.dumps(store)))
    uri = clips.write("ab" * 16, b"clip")
    assert uri == f"{store.uri}/clips/ab/{'ab' * 16}.wav"
    assert clips.has(uri)
    assert list(clips.clip_ids()) == ["ab" * 16]
    clips.delete("ab" * 16)
    assert not clips.has(uri)
    store.delete("")


def test_only_files_named_like_clips_are_clips(out: Folder) -> None:
    clips = OutputClips(out)
    clips.write("0" * 32, b"clip")
    for stray in ("clips/readme.wav", "clips/00/x.txt", "clips/00/deep/er.wav", "other.wav"):
        out.write(stray, b"mine")
    assert list(clips.clip_ids()) == ["0" * 32]
    with pytest.raises(ValueError, match="file name"):
        clips.write("../../../etc/cron.d/x", b"")
