"""Continuous batching over one checkpoint: requests join and leave between two frames.

A turn: leave (who was cancelled), join (who fits), read (one chunk of one newcomer's prompt), speak (one frame for
all), and hand over (what is due). Everything that fails, fails for the request it happened to.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from torch import Tensor

from speech.errors import EngineUnavailable, SpeechError, SynthesisFailed
from speech.qwen.codec import StreamingCodec
from speech.qwen.failures import out_of_memory, understood
from speech.qwen.frame import BROKEN, IDLE, SPOKE
from speech.qwen.handover import HandOver
from speech.qwen.job import Job, Part
from speech.qwen.runner import BATCHES, Runner, round_up
from speech.qwen.schedule import PIECES, Costs, may_admit, may_prefill
from speech.qwen.seats import Seats
from speech.qwen.slots import Sampling

PREFILL_CHUNK: Final = {
    "cpu": 32,
    "cuda": 256,
}  # fixed: how a prompt is cut must not depend on who else is here


class Batcher:
    """Owns the slots of one runner and codec. Use from one thread."""

    def __init__(
        self,
        runner: Runner,
        codec: StreamingCodec,
        sampling: Sampling,
        prepare: Callable[[Job], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """prepare: starts making a job's next part elsewhere; `ready` is called with it, in this thread."""
        self.runner, self.costs = runner, Costs()
        self.seats = Seats(runner, codec)
        self.lost = False  # the device failed for good
        self.hand_over = HandOver(self.seats, self.costs, clock)
        self._sampling, self._prepare, self._clock = sampling, prepare, clock
        self._chunk = PREFILL_CHUNK[runner.device.type]
        self._waiting: list[Job] = []  # have a part, need a slot; in order of arrival

    # who is here --------------------------------------------------------------------------------------------------
    def ready(self, job: Job, part: Part) -> None:
        """A part of a job was made: take a place in the queue, or go on in the slot it has."""
        job.begin(part)
        slot = self.seats.of(job)
        if self.lost:
            job.stream.fail(EngineUnavailable("the device failed; restart this engine"))
            job.drop()
        elif job.stream.cancelled:
            job.drop()
            if slot is not None:
                self.seats.leave(slot)
        elif slot is None:
            self._waiting.append(job)
            self._waiting.sort(key=lambda one: one.playback.arrived)

    def failed(self, job: Job, error: SpeechError) -> None:
        """A part of a job could not be made."""
        job.stream.fail(error)
        slot = self.seats.of(job)
        if slot is not None:
            self.seats.leave(slot)

    @property
    def busy(self) -> bool:
        """Whether a turn would do something. Jobs whose next part is being made wait for `ready`."""
        room = len(self.seats.jobs) < self.runner.slots
        return bool(self._waiting and room) or any(job.part is not None for job in self.seats.jobs.values())

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    # a turn -------------------------------------------------------------------------------------------------------
    def turn(self) -> None:
        self._leave()
        self._join()
        self._read()
        if self.seats.speaking:
            self._speak()

    def rehearse(self, part: Part) -> None:
        """Speak a few frames that nobody hears, in a free slot: the first request is not slow, and costs are known."""
        slot = self.seats.empty()
        if slot is None:
            return
        prompt = part.prompt.embeddings
        try:
            self.runner.open(slot, part.prompt.text, 0, self._sampling)
            self.runner.prefill(slot, prompt[:-1])
            self.runner.start(slot, prompt[-1])
            for frames in PIECES:
                began = self._clock()
                decoded = self.runner.decode([slot])
                spoken = self._clock()
                self.hand_over.decode([slot], [[decoded.codes[slot].clamp(0)] * frames])
            self.costs.framed(self.runner.bucket([slot])[0], spoken - began)
            self.costs.decoded(self._clock() - spoken)
        finally:
            self.seats.vacate(slot)
            part.erase()

    def abandon(self, error: SpeechError) -> None:
        """A turn failed, and nobody knows for whom: all end. Where not even the slots can be wiped, the device is
        lost, and nobody is let in any more.
        """
        for job in [*self._waiting, *self.seats.jobs.values()]:
            job.stream.fail(error)
        try:
            self.close()
        except Exception as broken:  # noqa: BLE001 - whatever a lost device raises
            understood(broken)  # logged
            self.lost = True
            self.seats.jobs.clear()
            self.seats.speaking.clear()

    def close(self) -> None:
        """Drop everybody, and wipe what they leave."""
        for job in self._waiting:
            job.drop()
        self._waiting.clear()
        self.seats.wipe()

    def _leave(self) -> None:
        for job in [job for job in self._waiting if job.stream.cancelled]:
            self._waiting.remove(job)
            job.drop()
        for slot in [slot for slot, job in self.seats.jobs.items() if job.stream.cancelled]:
            self.seats.leave(slot)

    def _join(self) -> None:
        while self._waiting and (slot := self.seats.empty()) is not None:
            rows = round_up(max([slot, *self.seats.jobs]) + 1, BATCHES, self.runner.slots)
            playing = [job.playback for job in self.seats.jobs.values()]
            if not may_admit(playing, self.costs, rows, self._clock()):
                return
            self.seats.jobs[slot] = self._waiting.pop(0)

    def _read(self) -> None:
        """One chunk for the newcomer with the nearest deadline; all of it when nobody is speaking."""
        jobs, speaking = self.seats.jobs, self.seats.speaking
        while True:
            reading = {
                slot: job.part for slot, job in jobs.items() if slot not in speaking and job.part is not None
            }
            rows = round_up(max(speaking, default=0) + 1, BATCHES, self.runner.slots)
            playing = [jobs[slot].playback for slot in speaking]
            if not reading or not may_prefill(playing, self.costs, rows, self._clock()):
                return
            slot = min(reading, key=lambda slot: jobs[slot].playback.deadline)
            self.seats.guarded(slot, partial(self._read_chunk, part=reading[slot]))
            if speaking:
                return

    def _read_chunk(self, slot: int, part: Part) -> None:
        job, began = self.seats.jobs[slot], self._clock()
        prompt = part.prompt.embeddings
        if job.read == 0:
            self.runner.open(slot, part.prompt.text, job.seed, self._sampling)
            self.seats.codec.reset(slot)
            if part.reference is not None:
                self.seats.codec.prime(slot, part.reference)
        end = min(job.read + self._chunk, len(prompt) - 1)
        self.runner.prefill(slot, prompt[job.read : end])
        job.read = end
        if end == len(prompt) - 1:
            self.runner.start(slot, prompt[end])
            self.seats.speaking.add(slot)
        self.costs.prefilled(self._clock() - began)

    def _speak(self) -> None:
        began, slots = self._clock(), sorted(self.seats.speaking)
        rows, _ = self.runner.bucket(slots)
        try:
            decoded = self.runner.decode(slots)
        except Exception as error:
            if not out_of_memory(error):
                raise
            self.seats.shed(slots)  # no row has moved on: who stays says this frame in the next turn
            return
        self.costs.framed(rows, self._clock() - began)
        for slot in slots:
            heard = partial(self._heard, status=decoded.status[slot], codes=decoded.codes[slot])
            self.seats.guarded(slot, heard)
        self.hand_over.due([slot for slot in slots if slot in self.seats.speaking])

    def _heard(self, slot: int, status: int, codes: Tensor) -> None:
        if status == BROKEN:
            raise SynthesisFailed("the model computed what is no number; ask again with another seed")
        if status == IDLE:  # never silently the end of what a listener hears
            raise SynthesisFailed("the engine lost this request's place; ask again")
        heard = self.seats.jobs[slot].heard(codes) if status == SPOKE else "end"
        if heard == "end":
            self._end_segment(slot)
        elif heard == "again":
            self.seats.vacate(slot)

    def _end_segment(self, slot: int) -> None:
        """The next one in the same slot, which is wiped in between, or the end of the job."""
        job = self.seats.jobs[slot]
        self.hand_over.rest(slot)
        if job.end_segment(self._clock()):
            self.seats.vacate(slot)
            self._prepare(job)
        else:
            self.seats.leave(slot)
