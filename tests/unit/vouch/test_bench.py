"""A benchmark's lines have the shape that DESIGN fixes. Nothing here looks at how fast anything was."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from provenance.formats.catalogue import FORMATS
from speech.config import BudgetConfig
from speech.engine import SAMPLE_RATE, Samples
from speech.languages import CODES
from tests.assets import tiny_qwen
from tests.unit.vouch.conftest import Vouch
from vouch.bench.engine import config_for
from vouch.bench.engine_calibrate import calibrate
from vouch.bench.engine_load import percentile, speak_all
from vouch.bench.engine_loading import load_once
from vouch.bench.figures import Figure, rates
from vouch.bench.gate_cases import bare
from vouch.bench.house import temporary_house
from vouch.bench.postgresql import server

KEYS = {"bench", "case", "value", "unit"}
PEER = {"peer", "peer_value", "ratio"}


def figures(vouch: Vouch, *words: object, zeros: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """What a benchmark printed, of the shape that DESIGN fixes. zeros: in the cases of figures that may be 0."""
    result = vouch.run("bench", *words)
    assert result.exit_code == 0, result.stderr
    machine, *lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert {"cpu", "cores", "memory_gb", "python", "torch"} <= set(machine["machine"])
    for line in lines:
        assert set(line) in (KEYS, KEYS | PEER)
        assert line["bench"] == words[0]
        assert line["value"] > 0 or any(zero in line["case"] for zero in zeros)
    return lines


def test_stamping_is_measured_against_its_ingredients(vouch: Vouch) -> None:
    lines = figures(vouch, "stamp", "--seconds", 0, "--clip-seconds", 1)
    peers = {(line["case"].partition("-")[0], line["peer"]) for line in lines if "chunk" not in line["case"]}
    assert peers == {(name, peer) for name in FORMATS for peer in ("resemble-perth", "c2pa-sign")}
    chunks = {line["case"]: line["peer"] for line in lines if "chunk" in line["case"]}
    assert chunks == {
        "first-chunk-pcm-320ms": "encoder-alone",
        "first-chunk-opus-320ms": "encoder-alone",
    }


def test_the_gate_is_measured_against_its_database(vouch: Vouch) -> None:
    lines = figures(vouch, "gate", "--seconds", 0)
    peers = {line["case"]: line.get("peer") for line in lines}
    for database in ("sqlite", "postgresql"):
        for callers in (1, 16):
            assert peers[f"{database}-decision-{callers}"] == "sqlalchemy-select"
            assert peers[f"{database}-audited-{callers}"] == "sqlalchemy-insert-commit"
        assert peers[f"{database}-append-many"] == "sqlalchemy-insert-many-commit"
        assert peers[f"{database}-register-many"] == "sqlalchemy-update-many-commit"
        assert {f"{database}-authorize-many", f"{database}-redeem-many"} <= set(peers)
        assert {f"{database}-feed-{name}" for name in ("p50", "p95", "max")} <= set(peers)


def test_a_figure_of_a_database_is_taken_on_that_database() -> None:
    with server(None) as url:
        assert url is not None
        with temporary_house(url) as house, bare(house) as peer:
            assert house.service._core.ledger.engine.dialect.name == "postgresql"
            assert peer._engine.dialect.name == "postgresql"
            assert peer.select() == 1.0


def test_the_embedded_engine_has_a_figure_for_each_mode_and_no_peer(vouch: Vouch) -> None:
    lines = figures(vouch, "engine", "--seconds", 0)
    assert [line["case"] for line in lines] == [
        f"embedded-cpu-{mode}-1" for mode in ("clone", "custom", "design")
    ]
    assert all(set(line) == KEYS and line["unit"] == "frames/s" for line in lines)


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


def test_random_weights_are_measured_under_load_beside_qwen_tts(vouch: Vouch) -> None:
    lines = figures(
        vouch, "engine", "--shape", "tiny", "--device", "cpu", "--concurrency", "1,2", "--mode", "clone",
        "--peer", "qwen-tts", "--frames", 12, "--seconds", 0, "--eager", zeros=("underruns",),
    )  # fmt: skip
    by_case = {line["case"].removeprefix("tiny-cpu-clone-"): line for line in lines}
    assert set(by_case) == {
        "memory",
        "2-growth",
        *(f"{n}{what}" for n in (1, 2) for what in ("", "-frame", "-underruns")),
        *(f"{n}-first-audio-p{percent}" for n in (1, 2) for percent in (50, 95)),
    }  # fmt: skip
    assert {case for case, line in by_case.items() if "peer" in line} == {
        f"{n}{what}" for n in (1, 2) for what in ("", "-first-audio-p50", "-first-audio-p95")
    }
    assert by_case["1"]["unit"] == "frames/s"


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_second_start_finds_what_the_first_one_compiled(tmp_path: Path) -> None:
    tiny_qwen.build_one(tmp_path / "base", "base")
    config = config_for("qwen", tmp_path, "cpu", slots=1, compile_cache=str(tmp_path / "compiled"))
    first, second = load_once(config, tmp_path), load_once(config, tmp_path)
    assert first.compile_s > 0
    assert second.cpu_s < first.cpu_s


def test_a_profile_says_where_the_time_goes(vouch: Vouch) -> None:
    lines = figures(
        vouch,
        "engine",
        "--shape",
        "tiny",
        "--mode",
        "custom",
        "--concurrency",
        2,
        "--frames",
        8,
        "--profile",
        "--eager",
        zeros=("convolution",),  # so small that they are computed as plain products
    )
    shares = {line["case"].removeprefix("tiny-cpu-custom-2-profile-"): line["value"] for line in lines}
    assert set(shares) == {"linear", "convolution", "attention", "products"}
    parts = sum(share for kind, share in shares.items() if kind != "products")
    assert shares["products"] == pytest.approx(parts, rel=0.01)


def test_calibration_ends_with_a_budget_that_the_engine_takes(tmp_path: Path) -> None:
    tiny_qwen.build_one(tmp_path / "custom_voice", "custom_voice")
    *lines, measured = calibrate(config_for("qwen", tmp_path, "cpu", frames=12, eager=True), takes=1)
    assert [line.case for line in lines if isinstance(line, Figure)] == [
        f"qwen-custom-calibrate-{code}" for code in CODES
    ]
    assert isinstance(measured, dict)
    budget = BudgetConfig.model_validate(measured["budget"])
    assert set(budget.seconds_per_syllable) == set(CODES)


@pytest.mark.parametrize(
    "wrong",
    [
        "--concurrency=",
        "--concurrency=none",
        "--concurrency=0",
        "--concurrency=1,-2",
        "--mode=",
        "--mode=sing",
    ],
)
def test_what_is_to_be_measured_must_exist(vouch: Vouch, wrong: str) -> None:
    assert vouch.run("bench", "engine", "--shape", "tiny", wrong).exit_code == 2


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


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([1.0], 95) == 1.0
    assert percentile(list(range(1, 101)), 95) == 95


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
