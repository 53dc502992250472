"""Runaway speech is noticed, soon and by its kind; speech is not taken for it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pytest

from speech.runaway import (
    LONGEST_PERIOD,
    LOOP_FRAMES,
    LOOP_REPEATS,
    SILENT_FRAMES,
    STUCK_FRAMES,
    RunawayDetector,
)

FRAMES_A_MINUTE = 750


def watch(
    codes: Iterable[int], budget: int = 10**6, silence: frozenset[int] = frozenset()
) -> tuple[str | None, int]:
    detector = RunawayDetector(budget, silence_codes=silence)
    for frame, code in enumerate(codes, start=1):
        reason = detector.observe(code)
        if reason is not None:
            return reason, frame
    return None, 0


def speech(seed: int, frames: int, codebook: int = 512) -> list[int]:
    """Codes as skewed as a model's: a few are frequent, and sounds are held for one to six frames."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, codebook + 1)
    codes = rng.choice(codebook, size=frames, p=weights / weights.sum())
    return np.repeat(codes, rng.integers(1, 7, size=frames))[:frames].tolist()


def test_speech_passes() -> None:
    assert all(watch(speech(seed, FRAMES_A_MINUTE)) == (None, 0) for seed in range(40))


def test_a_budget_ends() -> None:
    assert watch(speech(1, 200), budget=100) == ("budget", 101)


@pytest.mark.parametrize("start", [0, 3, 100])
def test_a_stuck_code_is_noticed_within_a_second_of_the_limit(start: int) -> None:
    reason, frame = watch([*speech(2, start), *[7] * 200])
    assert reason == "stuck"
    assert 0.9 * STUCK_FRAMES <= frame - start <= STUCK_FRAMES + 12


def test_a_stuck_code_that_flickers_is_stuck() -> None:
    codes = [7 if frame % 25 else 8 for frame in range(400)]
    assert watch([*speech(2, 50), *codes])[0] == "stuck"


def test_a_vowel_may_be_held() -> None:
    held = [*speech(3, 40), *[7] * (STUCK_FRAMES - 12), *speech(4, 40)]
    assert watch(itertools.chain(held, held, held)) == (None, 0)


@pytest.mark.parametrize("period", [2, 3, 7, 20, 33, LONGEST_PERIOD])
def test_a_loop_is_noticed_at_its_fourth_turn(period: int) -> None:
    phrase = np.random.default_rng(period).permutation(512)[:period].tolist()
    reason, frame = watch([*speech(5, 90), *phrase * 60])
    assert reason == "loop"
    assert frame - 90 <= max(LOOP_REPEATS * period, LOOP_FRAMES) + 12


def test_a_loop_with_slips_is_a_loop() -> None:
    rng = np.random.default_rng(6)
    codes = np.tile(rng.permutation(512)[:15], 30)
    slips = rng.random(codes.size) < 0.02
    codes[slips] = rng.integers(0, 512, slips.sum())
    assert watch(codes.tolist())[0] == "loop"


@pytest.mark.parametrize("times", [2, 3])
def test_a_phrase_may_be_said_three_times(times: int) -> None:
    phrase = np.random.default_rng(7).permutation(512)[:30].tolist()
    assert watch([*speech(8, 50), *phrase * times, *speech(9, 50)]) == (None, 0)


def test_words_repeated_by_a_person_are_not_a_loop() -> None:
    """The same words, sampled anew each time: half of the codes agree."""
    rng = np.random.default_rng(10)
    word = rng.integers(0, 512, 8)
    said = [np.where(rng.random(8) < 0.5, word, rng.integers(0, 512, 8)) for _ in range(40)]
    assert watch(np.concatenate(said).tolist()) == (None, 0)


def test_silence_is_noticed_where_its_codes_are_known() -> None:
    codes = [*speech(11, 30), *np.random.default_rng(0).choice([3, 4, 5], 300).tolist()]
    assert watch(codes, silence=frozenset({3, 4, 5})) == ("silence", 30 + SILENT_FRAMES)
    assert watch(codes)[0] is None


def test_a_pause_of_three_seconds_is_no_runaway() -> None:
    pause = np.random.default_rng(1).choice([3, 4, 5], 37).tolist()
    assert watch([*speech(12, 30), *pause, *speech(13, 30)], silence=frozenset({3, 4, 5})) == (None, 0)


def test_memory_is_bounded() -> None:
    detector = RunawayDetector(10**9)
    for code in speech(14, 5000):
        detector.observe(code)
    assert len(detector._kept) < 2 * LONGEST_PERIOD * LOOP_REPEATS
