"""One request between the frames that were said and the listener: when it is given up, and what may be tried again."""

from __future__ import annotations

import random
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from speech.engine import CustomVoiceRequest  # noqa: E402 - after torch is known to be there
from speech.errors import SynthesisFailed  # noqa: E402
from speech.qwen.compose import Prompt  # noqa: E402
from speech.qwen.job import Job, Part  # noqa: E402
from speech.segments import plan  # noqa: E402
from speech.stream import QueuedStream  # noqa: E402
from speech.text import prepare  # noqa: E402

SILENCE = frozenset(range(8))
SAID = prepare("Good morning.", "en")


def job(**changes: Any) -> Job:
    settings: dict[str, Any] = {"delivery": "segment", "cut": False, "silence": SILENCE, "arrived": 0.0}
    request = CustomVoiceRequest("r", SAID, "vivian", 7)
    made = Job(request, QueuedStream("r", "v"), plan(SAID), part, **{**settings, **changes})
    made.begin(part(""))
    return made


def part(_text: str) -> Part:
    return Part(Prompt(torch.ones(4, 2), torch.ones(1, 2)), budget=500)


def says(one: Job, codes: list[int]) -> list[str]:
    return [one.heard(torch.tensor([code, *range(15)])) for code in codes]


def silent(frames: int, seed: int = 0) -> list[int]:
    chance = random.Random(seed)
    return [chance.choice(sorted(SILENCE)) for _ in range(frames)]


def test_a_model_that_falls_silent_is_tried_once_more_with_another_seed_and_then_given_up() -> None:
    one = job()
    first = one.seed
    assert says(one, silent(62))[-1] == "again"
    assert one.seed != first
    with pytest.raises(SynthesisFailed, match="silent"):
        says(one, silent(62, seed=1))


def test_what_was_heard_is_never_taken_back() -> None:
    one = job(delivery="stream")
    says(one, [100])
    one.decoded(1)
    with pytest.raises(SynthesisFailed, match="silent"):
        says(one, silent(62))


def test_a_runaway_may_be_cut_instead() -> None:
    assert says(job(cut=True), silent(62))[-1] == "end"


def test_silence_that_ends_is_a_pause() -> None:
    one = job()
    assert set(says(one, [*silent(50), 300, *silent(50), 301])) == {"on"}


def test_what_is_upcoming_stays_until_it_was_decoded() -> None:
    one = job(delivery="stream")
    says(one, [100, 101, 102])
    assert [int(codes[0]) for codes in one.upcoming(2)] == [100, 101]
    assert one.waiting_frames == 3
    one.decoded(2)
    assert [int(codes[0]) for codes in one.upcoming(2)] == [102]
