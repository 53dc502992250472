"""A benchmark's lines have the shape that DESIGN fixes. Nothing here looks at how fast anything was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from provenance.formats.catalogue import FORMATS
from speech.engine import SAMPLE_RATE, Samples
from tests.assets import tiny_qwen
from tests.assets.bench_lines import KEYS, figures_in
from tests.unit.vouch.conftest import Vouch
from vouch.bench.engine_load import speak_all
from vouch.bench.figures import Figure, rates
from vouch.bench.gate_cases import bare
from vouch.bench.house import temporary_house
from vouch.bench.postgresql import server


def figures(vouch: Vouch, *words: object) -> list[dict[str, Any]]:
    """What a benchmark printed."""
    result = vouch.run("bench", *words)
    assert result.exit_code == 0, result.stderr
    return figures_in(result.stdout, bench=str(words[0]))


@pytest.mark.slow
def test_stamping_is_measured_against_its_ingredients(vouch: Vouch) -> None:
    lines = figures(vouch, "stamp", "--seconds", 0, "--clip-seconds", 1)
    peers = {(line["case"].partition("-")[0], line["peer"]) for line in lines if "chunk" not in line["case"]}
    assert peers == {(name, peer) for name in FORMATS for peer in ("resemble-perth", "c2pa-sign")}
    chunks = {line["case"]: line["peer"] for line in lines if "chunk" in line["case"]}
    assert chunks == {
        "first-chunk-pcm-320ms": "encoder-alone",
        "first-chunk-opus-320ms": "encoder-alone",
    }


@pytest.mark.slow
def test_the_gate_is_measured_against_its_database(vouch: Vouch) -> None:
    lines = figures(vouch, "gate", "--seconds", 0)
    peers = {line["case"]: line.get("peer") for line in lines}
    for database in ("sqlite", "postgresql"):
        for callers in (1, 16):
            for read in ("decision", "granted"):
                assert peers[f"{database}-{read}-{callers}"] == "sqlalchemy-select"
            for written in ("audited", "closed"):
                assert peers[f"{database}-{written}-{callers}"] == "sqlalchemy-insert-commit"


@pytest.mark.slow
def test_a_figure_of_a_database_is_taken_on_that_database() -> None:
    with server(None) as url:
        assert url is not None
        with temporary_house(url) as house, bare(house) as peer:
            assert house.service._core.ledger.engine.dialect.name == "postgresql"
            assert peer.engine.dialect.name == "postgresql"
            assert peer.select() == 1.0


def test_the_embedded_engine_has_a_figure_for_each_mode_and_no_peer(vouch: Vouch) -> None:
    lines = figures(vouch, "engine", "--seconds", 0)
    assert [line["case"] for line in lines] == [
        f"embedded-cpu-{mode}-1" for mode in ("clone", "custom", "design")
    ]
    assert all(set(line) == KEYS and line["unit"] == "frames/s" for line in lines)


@pytest.mark.slow
def test_qwen_is_measured_against_qwen_tts_on_the_same_checkpoint(vouch: Vouch, tmp_path: Path) -> None:
    tiny_qwen.build_one(tmp_path / "base", "base")
    lines = figures(
        vouch,
        "engine",
        "--engine",
        "qwen",
        "--checkpoints",
        tmp_path,
        "--device",
        "cpu",
        "--seconds",
        0,
        "--eager",
    )
    assert [(line["case"], line["peer"]) for line in lines] == [("qwen-cpu-clone-1", "qwen-tts")]


@pytest.mark.slow
def test_tiny_random_weights_are_measured_with_many_streams_beside_qwen_tts(vouch: Vouch) -> None:
    lines = figures(
        vouch, "engine", "--tiny", "--device", "cpu", "--concurrency", "1,8", "--seconds", 0, "--eager"
    )
    assert [(line["case"], line["unit"], line["peer"]) for line in lines] == [
        (f"tiny-cpu-{mode}-{streams}", "frames/s", "qwen-tts")
        for mode in ("clone", "custom", "design")
        for streams in (1, 8)
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--concurrency=",),
        ("--concurrency=none",),
        ("--concurrency=0",),
        ("--concurrency=1,-2",),
        ("--tiny", "--checkpoints=/tmp"),
    ],
)
def test_what_is_to_be_measured_must_exist(vouch: Vouch, wrong: tuple[str, ...]) -> None:
    assert vouch.run("bench", "engine", *wrong).exit_code == 2


def test_an_underrun_is_a_chunk_that_comes_after_all_before_it_were_played() -> None:
    second = np.zeros(SAMPLE_RATE // 50, np.float32)  # a fiftieth of a second

    class Stream:
        request_id = "r"

        def __init__(self, stalls: bool) -> None:
            self._stalls = stalls

        def __iter__(self) -> Iterator[Samples]:
            yield second
            if self._stalls:
                time.sleep(0.05)
            yield second

        def cancel(self, code: str = "") -> None: ...

    class Engine:
        def start(self, request: bool) -> Stream:
            return Stream(request)

    turn = speak_all(Engine(), [False, True, False])  # type: ignore[arg-type]
    assert turn.underruns == 1
    assert turn.frames == pytest.approx(6 * second.size / 1920)
    assert len(turn.first_audio_s) == 3


def test_a_service_that_is_not_there_is_an_error_and_no_figure(vouch: Vouch) -> None:
    result = vouch.run("bench", "serve", "--url", "http://127.0.0.1:9", "--seconds", 0)
    assert result.exit_code == 1
    assert "[service_unreachable]" in result.stderr


@pytest.mark.parametrize(("less_is_better", "ratio"), [(False, 2.0), (True, 0.5)])
def test_a_ratio_above_one_is_in_our_favour(less_is_better: bool, ratio: float) -> None:
    figure = Figure("any", "case", 200.0, "unit", "peer", 100.0, less_is_better=less_is_better)
    assert figure.to_json()["ratio"] == ratio


def test_ours_and_the_peer_take_turns() -> None:
    order: list[str] = []

    def work(name: str) -> float:
        order.append(name)
        return 1.0

    rates([lambda: work("ours"), lambda: work("peer")], seconds=0.0)
    assert order == ["ours", "peer"] * 2, "once to warm up, once measured"
