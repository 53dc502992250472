"""A process whose engine was lost leaves what it finished, and no more often than allowed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.actor_checkpoint import ActorCheckpoint
from pipelines.journal import Journal
from pipelines.rows import RowResult
from pipelines.schema import RESULT
from pipelines.storage import Folder

OK = RowResult("a", "ok", None, None, "digest-a", clip_id="c" * 32, audio_sha256="s", seconds=1.0)
REFUSED = RowResult("b", "refused", "consent_revoked", "withdrawn", "digest-b")
FAILED = RowResult("c", "error", "engine_unavailable", "the device failed", "digest-c")


@pytest.fixture
def out(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "out"))


@pytest.fixture
def journal(out: Folder) -> Journal:
    opened = Journal(out)
    opened.open()
    return opened


def checkpoint(out: Folder, journal: Journal, actor: str = "one", most: int = 3) -> ActorCheckpoint:
    return ActorCheckpoint(out, journal.run, actor, most=most)


def test_what_was_finished_is_known_to_the_successor_and_what_failed_is_not(
    out: Folder, journal: Journal
) -> None:
    first = checkpoint(out, journal)
    assert not first.is_successor
    assert first.save([OK, REFUSED, FAILED])
    second = checkpoint(out, journal)
    assert second.is_successor
    assert second.finished(OK) == OK
    assert second.finished(REFUSED) == REFUSED
    assert second.finished(FAILED) is None


def test_a_row_of_another_wording_is_not_the_row_that_was_finished(out: Folder, journal: Journal) -> None:
    checkpoint(out, journal).save([OK])
    assert checkpoint(out, journal).finished(replace(OK, row_digest="other")) is None


def test_every_loss_adds_to_what_is_known(out: Folder, journal: Journal) -> None:
    checkpoint(out, journal).save([OK])
    checkpoint(out, journal).save([REFUSED])
    third = checkpoint(out, journal)
    assert (third.finished(OK), third.finished(REFUSED)) == (OK, REFUSED)


@pytest.mark.parametrize("most", [0, 1, 3])
def test_an_actor_is_replaced_so_often_and_then_stays(out: Folder, journal: Journal, most: int) -> None:
    left = [checkpoint(out, journal, most=most).save([]) for _ in range(most + 2)]
    assert left == [True] * most + [False, False]


def test_actors_and_runs_keep_notes_of_their_own(out: Folder, journal: Journal) -> None:
    assert checkpoint(out, journal, most=1).save([OK])
    assert not checkpoint(out, journal, "another", most=1).is_successor
    assert checkpoint(out, journal, "another", most=1).save([])
    later = Journal(out)
    later.open()
    assert not checkpoint(out, later).is_successor


def test_a_process_that_can_leave_no_note_stays(
    out: Folder, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    staying = checkpoint(out, journal)
    monkeypatch.setattr(
        "foundation.private_files.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full"))
    )
    assert not staying.save([OK])
    assert not checkpoint(out, journal).is_successor


def test_a_run_that_was_killed_goes_on_from_the_notes_as_from_the_journal(
    out: Folder, journal: Journal
) -> None:
    checkpoint(out, journal).save([OK, REFUSED])
    assert Journal(out).open()["a"] == OK


def test_the_journal_outdoes_a_note(out: Folder, journal: Journal) -> None:
    checkpoint(out, journal).save([OK])
    newer = replace(OK, clip_id="d" * 32)
    nullable = pa.schema([field.with_nullable(True) for field in RESULT])
    journal.append(pa.Table.from_pylist([newer.record()], schema=nullable))
    assert Journal(out).open()["a"] == newer


def test_notes_go_when_the_results_are_published(out: Folder, journal: Journal) -> None:
    checkpoint(out, journal).save([OK])
    nullable = pa.schema([field.with_nullable(True) for field in RESULT])
    journal.append(pa.Table.from_pylist([OK.record()], schema=nullable))
    journal.publish(journal.results(pa.chunked_array([["a"]])), "{}", rows_per_part=10)
    assert list(out.files("_vouch", "")) == []
