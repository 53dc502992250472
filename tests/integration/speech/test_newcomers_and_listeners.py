"""Who is already listening is not made to wait because somebody else arrived."""

from __future__ import annotations

import pytest

from speech.qwen import batcher as batcher_module
from speech.qwen.job import Job
from speech.qwen.model import QwenModel
from tests.integration.speech.house import CODEC_S, FRAME_S, PREFILL_S, House, build


@pytest.fixture
def house(models: dict[str, QwenModel]) -> House:
    return build(models["custom_voice"])


def spoken(house: House) -> list[Job]:
    """Three listeners, then a newcomer every 0.3 s."""
    jobs = [house.arrive(number) for number in range(3)]
    while house.batcher.busy:
        if len(jobs) < 6 and house.clock.now > 0.6 + 0.3 * (len(jobs) - 3):
            jobs.append(house.arrive(len(jobs)))
        house.turn()
    return jobs


def test_no_listener_falls_silent_because_somebody_arrived(house: House) -> None:
    jobs = spoken(house)
    assert len(jobs) == 6
    assert [job.playback.underruns for job in jobs] == [0] * 6
    assert house.batcher.seats.underruns == 0


def test_without_the_deadlines_they_would(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the test above has something to find."""
    monkeypatch.setattr(batcher_module, "may_prefill", lambda *_: True)
    spoken(house)
    assert house.batcher.seats.underruns > 0


def test_a_newcomers_prompt_is_read_in_chunks_between_frames(house: House) -> None:
    house.arrive(0)
    house.until(lambda: house.batcher.seats.speaking)
    house.turn(20)
    late, turns = house.arrive(1), 0
    while late.playback.began is None:
        before = house.clock.now
        house.turn()
        turns += 1
        assert house.clock.now - before <= PREFILL_S + FRAME_S + 2 * CODEC_S + 0.001 + 1e-9
    assert late.part is not None
    assert turns >= len(late.part.prompt.embeddings) // 32
