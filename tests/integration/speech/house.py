"""A real batcher over a tiny model, on a clock that only work moves: a frame takes 30 ms, a prompt chunk 90 ms, a codec
call 2 ms. So what comes out does not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from consent_service.grants import Utterance
from speech.engine import CustomVoiceRequest
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


@dataclass
class House:
    """prepared: jobs whose next part was asked for."""

    model: QwenModel
    batcher: Batcher
    clock: Clock
    prepared: list[Job]

    def arrive(self, number: int, *, said: Utterance = SAID, budget: int = 60) -> Job:
        request = CustomVoiceRequest(str(number), said, "vivian", number)
        stream = QueuedStream(request.request_id, request.voice_id)
        job = Job(
            request,
            stream,
            plan(said),
            self.part,
            delivery="stream",
            cut=True,
            silence=set(),
            arrived=self.clock.now,
        )
        self.batcher.ready(job, self.part(job.text, budget))
        return job

    def part(self, text: str, budget: int = 60) -> Part:
        return Part(self.model.composer.custom(text, "en", "vivian", ""), budget)

    def turn(self, times: int = 1) -> None:
        with torch.inference_mode():
            for _ in range(times):
                self.batcher.turn()
                self.clock.now += 0.001

    def until(self, done: Callable[[], Any]) -> None:
        for _ in range(1000):
            if done():
                return
            self.turn()
        raise AssertionError("a thousand turns were not enough")


def build(model: QwenModel, slots: int = 8) -> House:
    clock = Clock()
    runner = SlowRunner(model.frame, slots, 1024)
    codec = SlowCodec(model.codec_decoder, slots=slots, device="cpu", dtype=torch.float32)
    runner.clock = codec.clock = clock
    prepared: list[Job] = []
    unending = replace(model.sampling, min_frames=10_000)
    batcher = Batcher(runner, codec, unending, prepared.append, clock)
    house = House(model, batcher, clock, prepared)
    batcher.rehearse(house.part("Ready.", 8))
    return house
