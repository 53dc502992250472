"""An engine actor whose engine is lost ends its process, once it has written down what is finished."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from consent_service.errors import LedgerUnavailable
from consent_service.grants import Utterance
from pipelines import actors
from pipelines.actor_checkpoint import ActorCheckpoint
from pipelines.actors import SpeakActor, failure_of
from pipelines.config import NarrateConfig
from pipelines.journal import Journal
from pipelines.rows import CheckedRow, GrantedRow, RowResult, decided_record
from pipelines.schema import DECIDED
from pipelines.storage import Folder
from speech.errors import EngineUnavailable
from tests.assets.publisher import Publisher


class Ended(BaseException):
    """The process would be gone."""


class Voice:
    """Speaks so many rows, then is lost."""

    def __init__(self, rows: int) -> None:
        self._left = rows
        self.asked: list[str] = []

    @property
    def healthy(self) -> bool:
        return self._left > 0

    def __call__(self, row: GrantedRow) -> RowResult:
        self.asked.append(row.result.id)
        self._left -= 1
        if self._left < 0:
            return row.result.fail("error", "engine_unavailable", "the device failed")
        return replace(row.result, status="ok", code=None, message=None, clip_id="c" * 32, audio_sha256="s")


@pytest.fixture(autouse=True)
def _process(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(status: int) -> None:
        raise Ended(status)

    monkeypatch.setattr("pipelines.actors.os._exit", end)
    monkeypatch.setattr("pipelines.actors.resource.setrlimit", lambda *_: None)  # it cannot be raised again


@pytest.fixture
def run(publisher: Publisher) -> str:
    journal = Journal(Folder(str(publisher.folder / "out")))
    journal.open()
    return journal.run


@pytest.fixture
def config(publisher: Publisher) -> NarrateConfig:
    return publisher.narration(rows_in_flight=1, engine_replacements=1)


def ready(row_id: str) -> GrantedRow:
    result = RowResult(
        row_id, "error", "not_finished", "not synthesised; run again", f"digest-{row_id}", voice="preset:Vivian"
    )  # fmt: skip
    return GrantedRow(CheckedRow(Utterance("Words.", "en", ""), 0, result), "grant", 0.0)


def block(*rows: str) -> pa.Table:
    return pa.Table.from_pylist([decided_record(ready(one)) for one in rows], schema=DECIDED)


def actor(monkeypatch: pytest.MonkeyPatch, config: NarrateConfig, run: str, voice: Any) -> SpeakActor:
    def begin(_: NarrateConfig) -> Any:
        if isinstance(voice, Exception):
            raise voice
        return voice

    monkeypatch.setattr(actors, "EngineRowSynthesizer", begin)
    return SpeakActor(config, run)


def statuses(table: pa.Table) -> list[str]:
    return list(table.column("status").to_pylist())


def test_a_successor_speaks_what_is_left_of_the_block_and_nothing_of_the_one_before(
    monkeypatch: pytest.MonkeyPatch, config: NarrateConfig, run: str
) -> None:
    first = actor(monkeypatch, config, run, Voice(3))
    assert statuses(first(block("a", "b"))) == ["ok", "ok"]
    with pytest.raises(Ended):
        first(block("c", "d"))
    voice = Voice(100)
    second = actor(monkeypatch, config, run, voice)
    # Both blocks come again, the first as Ray may not have heard that it was done.
    assert statuses(second(block("a", "b"))) == ["ok", "ok"]
    assert statuses(second(block("c", "d"))) == ["ok", "ok"]
    assert voice.asked == ["d"]


def test_an_engine_lost_after_its_last_row_is_replaced_only_for_another(
    monkeypatch: pytest.MonkeyPatch, config: NarrateConfig, run: str
) -> None:
    first = actor(monkeypatch, config, run, Voice(2))
    assert statuses(first(block("a", "b"))) == ["ok", "ok"]
    with pytest.raises(Ended):
        first(block("c"))


def test_a_row_that_fails_on_a_healthy_engine_ends_no_process(
    monkeypatch: pytest.MonkeyPatch, config: NarrateConfig, run: str
) -> None:
    class Failing(Voice):
        healthy = True

    assert statuses(actor(monkeypatch, config, run, Failing(1))(block("a", "b"))) == ["ok", "error"]


def test_after_the_last_replacement_rows_are_errors_and_the_process_stays(
    monkeypatch: pytest.MonkeyPatch, config: NarrateConfig, run: str
) -> None:
    with pytest.raises(Ended):
        actor(monkeypatch, config, run, Voice(0))(block("a"))
    last = actor(monkeypatch, config, run, Voice(0))
    assert statuses(last(block("a"))) == ["error"]
    assert statuses(last(block("b"))) == ["error"]


def test_a_successor_without_an_engine_refuses_rows_and_ends_no_run(
    monkeypatch: pytest.MonkeyPatch, config: NarrateConfig, run: str
) -> None:
    with pytest.raises(Ended):
        actor(monkeypatch, config, run, Voice(0))(block("a"))
    mute = actor(monkeypatch, config, run, EngineUnavailable("torch sees no GPU"))
    (result,) = mute(block("a")).to_pylist()
    assert (result["status"], result["code"]) == ("error", "engine_unavailable")
    assert "torch sees no GPU" in result["message"]


@pytest.mark.parametrize("successor", [False, True])
def test_what_is_missing_at_the_start_ends_the_run_and_is_told(
    monkeypatch: pytest.MonkeyPatch, config: NarrateConfig, run: str, successor: bool
) -> None:
    # A ledger that is gone is nobody's engine: also a successor cannot go on without.
    missing: Exception = LedgerUnavailable("gone") if successor else EngineUnavailable("no checkpoint")
    if successor:
        ActorCheckpoint(Folder(config.output), run, "none", most=1).save([])
    with pytest.raises(RuntimeError) as caught:
        actor(monkeypatch, config, run, missing)
    told = failure_of(caught.value)
    assert (told.code, told.message) == (
        ("ledger_unavailable", "gone") if successor else ("engine_unavailable", "no checkpoint")
    )
