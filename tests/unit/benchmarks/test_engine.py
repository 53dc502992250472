"""What is asked of an engine beside its speed. Nothing here looks at how fast anything was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.engine.__main__ import main
from benchmarks.engine.calibrate import calibrate
from benchmarks.engine.load import percentile
from benchmarks.engine.loading import load_once
from speech.config import BudgetConfig
from speech.languages import CODES
from tests.assets import tiny_qwen
from tests.assets.bench_lines import figures_in
from vouch.bench.engine import config_for
from vouch.bench.figures import Figure

pytestmark = pytest.mark.slow


def figures(capsys: pytest.CaptureFixture[str], *words: str, zeros: tuple[str, ...]) -> list[dict[str, Any]]:
    main(words)
    return figures_in(capsys.readouterr().out, bench="engine", zeros=zeros)


def test_random_weights_are_measured_under_load_beside_qwen_tts(capsys: pytest.CaptureFixture[str]) -> None:
    lines = figures(
        capsys, "load", "--shape", "tiny", "--device", "cpu", "--streams", "1", "2", "--frames", "12",
        "--seconds", "0", "--eager", zeros=("underruns",),
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


def test_a_profile_says_where_the_time_goes(capsys: pytest.CaptureFixture[str]) -> None:
    lines = figures(
        capsys, "profile", "--shape", "tiny", "--mode", "custom", "--streams", "2", "--frames", "8", "--eager",
        zeros=("convolution",),  # so small that they are computed as plain products
    )  # fmt: skip
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
    "wrong", [("load", "--streams", "0"), ("load", "--mode", "sing"), ("profile", "--shape", "2b"), ()]
)
def test_what_is_to_be_measured_must_exist(wrong: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([1.0], 95) == 1.0
    assert percentile(list(range(1, 101)), 95) == 95
