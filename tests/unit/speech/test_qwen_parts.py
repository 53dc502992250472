"""The parts of the Qwen engine that need no model: frame budgets and the prompt cache."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.qwen.budget import frame_budget
from speech.qwen.prompts import PromptCache, PromptKey

FRAMES_PER_SECOND = 12.5


@pytest.mark.parametrize(
    ("text", "slow_reading_s"),
    [
        ("Good morning.", 2.0),
        ("In 1984 it cost 1,234,567 dollars.", 9.0),
        ("今天天气很好，我们去公园散步吧。", 6.0),
        ("오늘은 날씨가 좋습니다.", 4.0),
        ("7", 1.0),
        ("100 %", 2.0),
    ],
)
def test_a_slow_reader_fits_well_into_the_budget(text: str, slow_reading_s: float) -> None:
    seconds = frame_budget(text, 8192) / FRAMES_PER_SECOND
    assert 1.3 * slow_reading_s < seconds < 8 * slow_reading_s + 4


@given(st.text(), st.integers(2, 500))
def test_a_budget_never_passes_its_limit(text: str, most: int) -> None:
    assert 2 <= frame_budget(text, most) <= most


def key(voice: str, epoch: int = 0, reference: str = "r") -> PromptKey:
    return PromptKey(voice, epoch, reference)


def cache(size: int = 2) -> tuple[PromptCache[str], list[str]]:
    erased: list[str] = []
    return PromptCache(size, erased.append), erased


def never() -> bool:
    return False


def test_the_least_used_prompt_goes_first_and_is_erased() -> None:
    prompts, erased = cache(2)
    for voice in "ab":
        prompts.put(key(voice), f"prompt {voice}", unless=never)
    assert prompts.get(key("a")) == "prompt a"
    prompts.put(key("c"), "prompt c", unless=never)
    assert erased == ["prompt b"]
    assert prompts.get(key("b")) is None
    assert prompts.get(key("a")) == "prompt a"


def test_epoch_and_reference_are_part_of_the_key() -> None:
    prompts, _ = cache()
    prompts.put(key("a", 1, "r"), "prompt", unless=never)
    assert prompts.get(key("a", 2, "r")) is None
    assert prompts.get(key("a", 1, "other")) is None
    assert prompts.get(key("b", 1, "r")) is None


def test_dropping_a_voice_erases_all_of_it_and_nothing_else() -> None:
    prompts, erased = cache(4)
    for voice, reference in (("a", "1"), ("a", "2"), ("b", "1")):
        prompts.put(key(voice, 0, reference), f"{voice}{reference}", unless=never)
    prompts.drop_voice("a")
    assert sorted(erased) == ["a1", "a2"]
    assert prompts.get(key("b", 0, "1")) == "b1"
    prompts.clear()
    assert len(prompts) == 0
    assert "b1" in erased


def test_a_voice_cancelled_while_its_prompt_was_made_keeps_none() -> None:
    prompts, _ = cache()
    prompts.put(key("a"), "prompt", unless=lambda: True)
    assert len(prompts) == 0


def test_a_cache_of_size_zero_keeps_nothing() -> None:
    prompts, _ = cache(0)
    prompts.put(key("a"), "prompt", unless=never)
    assert len(prompts) == 0
