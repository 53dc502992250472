"""A benchmark's lines have the shape that DESIGN fixes. Nothing here looks at how fast anything was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.assets import tiny_qwen
from tests.unit.vouch.conftest import Vouch
from vouch.bench.figures import Figure, rates

KEYS = {"bench", "case", "value", "unit"}
PEER = {"peer", "peer_value", "ratio"}


def figures(vouch: Vouch, *words: object) -> list[dict[str, Any]]:
    result = vouch.run("bench", *words)
    assert result.exit_code == 0, result.stderr
    machine, *lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert {"cpu", "cores", "memory_gb", "python", "torch"} <= set(machine["machine"])
    for line in lines:
        assert set(line) in (KEYS, KEYS | PEER)
        assert line["bench"] == words[0]
        assert line["value"] > 0
    return lines


def test_stamping_is_measured_against_its_ingredients(vouch: Vouch) -> None:
    lines = figures(vouch, "stamp", "--seconds", 0, "--clip-seconds", 1)
    assert [line["peer"] for line in lines] == ["resemble-perth", "c2pa-sign"]
    assert {line["unit"] for line in lines} == {"x real time"}


def test_the_gate_is_measured_against_its_database(vouch: Vouch) -> None:
    lines = figures(vouch, "gate", "--seconds", 0)
    assert [(line["case"], line["peer"]) for line in lines] == [
        ("decision", "sqlalchemy-select"),
        ("audited", "sqlalchemy-insert-commit"),
    ]


def test_the_embedded_engine_has_a_figure_for_each_mode_and_no_peer(vouch: Vouch) -> None:
    lines = figures(vouch, "engine", "--seconds", 0)
    assert [line["case"] for line in lines] == [
        f"embedded-cpu-{mode}-1" for mode in ("clone", "custom", "design")
    ]
    assert all(set(line) == KEYS and line["unit"] == "frames/s" for line in lines)


def test_qwen_is_measured_against_qwen_tts_on_the_same_checkpoint(vouch: Vouch, tmp_path: Path) -> None:
    tiny_qwen.build_one(tmp_path / "base", "base")
    lines = figures(
        vouch, "engine", "--engine", "qwen", "--checkpoints", tmp_path, "--device", "cpu", "--seconds", 0
    )
    assert [(line["case"], line["peer"]) for line in lines] == [("qwen-cpu-clone-1", "qwen-tts")]


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
