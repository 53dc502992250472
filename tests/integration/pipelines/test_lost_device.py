"""Engines that are lost in the middle of a narration, on a real Ray (DESIGN I3, I7).

The embedded engine has no device to lose, so it is given one here: the actors' processes replace what loads it.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipelines import flow, row_synthesizer
from pipelines.actors import SpeakActor
from pipelines.config import NarrateConfig
from pipelines.narrate import narrate
from speech.engine import SpeechEngine, SpeechStream
from speech.errors import EngineUnavailable
from speech.load import load_engine
from tests.assets.publisher import Publisher, row
from tests.integration.pipelines.test_narrate import clips, results

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]


class Frail:
    """An engine whose device is lost at its third row, as long as `fate` says so."""

    def __init__(self, inner: SpeechEngine, fate: Fate) -> None:
        self.info = inner.info
        self.warm_up = inner.warm_up
        self.cancel_voice = inner.cancel_voice
        self.healthy = True
        self._inner = inner
        self._fate = fate
        self._rows = 0

    def start(self, request: Any) -> SpeechStream:
        self._rows += 1
        if self._rows == 3 and self._fate.strikes():
            self.healthy = False
        if not self.healthy:
            raise EngineUnavailable("the device failed; restart this engine")
        return self._inner.start(request)


class Fate:
    """How many engines are lost, counted in files, as they live in processes of their own."""

    def __init__(self, folder: Path, losses: int, *, loads_again: bool = True) -> None:
        self._folder = folder
        self._losses = losses
        self._loads_again = loads_again

    def load(self, config: Any) -> Any:
        if not self._loads_again and self.struck:
            raise EngineUnavailable("device is cuda, but torch sees no GPU")
        self._mark("begun")
        return Frail(load_engine(config), self)

    def strikes(self) -> bool:
        return self.struck < self._losses and bool(self._mark("lost"))

    @property
    def begun(self) -> int:
        return len(list(self._folder.glob("begun-*")))

    @property
    def struck(self) -> int:
        return len(list(self._folder.glob("lost-*")))

    def _mark(self, what: str) -> Path:
        path = self._folder / f"{what}-{len(list(self._folder.glob(f'{what}-*')))}"
        path.touch(exist_ok=False)
        return path


def fated(monkeypatch: pytest.MonkeyPatch, fate: Fate) -> Fate:
    class FatedSpeakActor(SpeakActor):
        def __init__(self, config: NarrateConfig, run: str) -> None:
            vars(row_synthesizer)["load_engine"] = fate.load
            super().__init__(config, run)

    monkeypatch.setattr(flow, "SpeakActor", FatedSpeakActor)
    return fate


def script(publisher: Publisher, count: int) -> list[dict[str, Any]]:
    return [row(f"r{i:02d}", f"Row number {i}.", voice=publisher.anna) for i in range(count)]


def closings(publisher: Publisher) -> Counter[str]:
    """How the grants that were used up ended; one that was not closed shows as open."""
    folder = publisher.folder / "export"
    publisher.service.log.export(publisher.admin, folder)
    entries = [json.loads(line) for line in (folder / "entries.jsonl").read_bytes().splitlines()]
    closed = {one["grant"]: one["outcome"] for one in entries if one["kind"] == "speech.closed"}
    return Counter(closed.get(one["grant"], "open") for one in entries if one["kind"] == "speech.redeemed")


def test_a_lost_engine_is_replaced_and_no_finished_row_is_spoken_twice(
    publisher: Publisher, cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fate = fated(monkeypatch, Fate(tmp_path, losses=2))
    # Blocks of four, lost at the third row: two rows of the block are finished, one fails, one is not begun.
    # Replacements do not count as blocks that were lost: of those, none is allowed here.
    summary = narrate(
        publisher.narration(script(publisher, 12), rows_per_block=4, rows_in_flight=1, lost_blocks=0)
    )
    assert (summary.ok, summary.error, summary.codes) == (12, 0, {})
    assert (fate.struck, fate.begun) == (2, 3)
    done = results(publisher)
    assert [one["id"] for one in done] == [f"r{i:02d}" for i in range(12)]
    assert clips(publisher) == {one["clip_uri"] for one in done}
    assert closings(publisher) == {"completed": 12, "failed": 2}
    assert list((publisher.folder / "out" / "_vouch").rglob("lost-*")) == []


def test_an_engine_beside_a_lost_one_goes_on(
    publisher: Publisher, cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fate = fated(monkeypatch, Fate(tmp_path, losses=1))
    summary = narrate(publisher.narration(script(publisher, 24), rows_per_block=2, engines=2))
    assert (summary.ok, summary.error, fate.struck) == (24, 0, 1)
    assert closings(publisher)["completed"] == 24


@pytest.mark.parametrize("loads_again", [True, False])
def test_engines_that_are_all_lost_end_the_run_with_a_result_for_every_row(
    publisher: Publisher, cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loads_again: bool
) -> None:
    fate = fated(monkeypatch, Fate(tmp_path, losses=100, loads_again=loads_again))
    config = publisher.narration(
        script(publisher, 16), rows_per_block=3, rows_in_flight=1, engine_replacements=2
    )
    summary = narrate(config)
    # Two rows for each engine that began.
    spoken = 6 if loads_again else 2
    assert (summary.rows_in, summary.ok, summary.error) == (16, spoken, 16 - spoken)
    assert summary.codes == {"engine_unavailable": 16 - spoken}
    assert fate.begun == spoken / 2
    assert closings(publisher) == {"completed": spoken, "failed": spoken / 2}, (
        "a sick engine uses no grant up"
    )

    if not loads_again:
        return
    # The next run, on a device that works, does the rest.
    monkeypatch.undo()
    summary = narrate(config)
    assert (summary.ok, summary.kept, summary.error) == (16, spoken, 0)
    assert closings(publisher)["completed"] == 16
