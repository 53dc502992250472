"""Who is already listening is not made to wait because somebody else arrived.

A real batcher over a tiny model, on a clock that only work moves: a frame takes 30 ms, a prompt chunk 90 ms, a codec
call 2 ms. So the outcome does not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from speech.engine import CustomVoiceRequest
from speech.qwen import batcher as batcher_module
from speech.qwen.batcher import Batcher
from speech.qwen.codec import StreamingCodec
from speech.qwen.job import Job, Part
from speech.qwen.model import QwenModel
from speech.qwen.runner import Decoded, Runner
from speech.segments import plan
from speech.stream import QueuedStream
from speech.text import prepare

FRAME_S, PREFILL_S, CODEC_S = 0.03, 0.09, 0.002
SAID = prepare("Good morning to all who are listening, and to those who come late. " * 2, "en")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowRunner(Runner):
    clock: Clock

    def prefill(self, slot: int, prompt: torch.Tensor) -> None:
        super().prefill(slot, prompt)
        self.clock.now += PREFILL_S

    def decode(self, occupied: Sequence[int]) -> Decoded:
        self.clock.now += FRAME_S
        return super().decode(occupied)


class SlowCodec(StreamingCodec):
    clock: Clock

    def decode(self, codes: torch.Tensor, slots: torch.Tensor) -> torch.Tensor:
        self.clock.now += CODEC_S
        return super().decode(codes, slots)


@pytest.fixture
def house(models: dict[str, QwenModel]) -> tuple[Batcher, Clock]:
    model, clock = models["custom_voice"], Clock()
    runner = SlowRunner(model.frame, 8, 1024)
    codec = SlowCodec(model.codec_decoder, slots=8, device="cpu", dtype=torch.float32)
    runner.clock = codec.clock = clock
    unending = replace(model.sampling, min_frames=10_000)
    batcher = Batcher(runner, codec, unending, lambda job: None, clock)
    batcher.rehearse(Part(model.composer.custom("Ready.", "en", "vivian", ""), budget=8))
    return batcher, clock


def arrive(house: tuple[Batcher, Clock], model: QwenModel, number: int) -> Job:
    batcher, clock = house
    request = CustomVoiceRequest(str(number), SAID, "vivian", number)
    stream = QueuedStream(request.request_id, request.voice_id)
    job = Job(request, stream, plan(SAID), lambda text: None, delivery="stream", cut=True, arrived=clock.now)  # type: ignore[arg-type,return-value]
    prompt = model.composer.custom(SAID.text, "en", "vivian", "")
    batcher.ready(job, Part(prompt, budget=60))
    return job


def spoken(house: tuple[Batcher, Clock], model: QwenModel) -> list[Job]:
    """Three listeners, then a newcomer every 0.3 s."""
    batcher, clock = house
    jobs = [arrive(house, model, number) for number in range(3)]
    with torch.inference_mode():
        while batcher.busy:
            if len(jobs) < 6 and clock.now > 0.6 + 0.3 * (len(jobs) - 3):
                jobs.append(arrive(house, model, len(jobs)))
            batcher.turn()
            clock.now += 0.001
    return jobs


def test_no_listener_falls_silent_because_somebody_arrived(
    house: tuple[Batcher, Clock], models: dict[str, QwenModel]
) -> None:
    jobs = spoken(house, models["custom_voice"])
    assert len(jobs) == 6
    assert [job.playback.underruns for job in jobs] == [0] * 6
    assert house[0].seats.underruns == 0


def test_without_the_deadlines_they_would(
    house: tuple[Batcher, Clock], models: dict[str, QwenModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the test above has something to find."""
    monkeypatch.setattr(batcher_module, "may_prefill", lambda *_: True)
    spoken(house, models["custom_voice"])
    assert house[0].seats.underruns > 0


def test_a_newcomers_prompt_is_read_in_chunks_between_frames(
    house: tuple[Batcher, Clock], models: dict[str, QwenModel]
) -> None:
    batcher, clock = house
    arrive(house, models["custom_voice"], 0)
    with torch.inference_mode():
        while not batcher.seats.speaking:
            batcher.turn()
        for _ in range(20):
            batcher.turn()
        late = arrive(house, models["custom_voice"], 1)
        turns = 0
        while late.playback.began is None:
            before = clock.now
            batcher.turn()
            turns += 1
            assert clock.now - before <= PREFILL_S + FRAME_S + 2 * CODEC_S + 1e-9
    assert late.part is not None
    assert turns >= len(late.part.prompt.embeddings) // 32
