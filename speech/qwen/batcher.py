"""Continuous batching over one checkpoint: requests join and leave between two frames.

A turn: leave (who was cancelled), join (who fits), read (one chunk of one newcomer's prompt), speak (one frame for
all), and hand over (what is due). Everything that fails, fails for the request it happened to.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import torch
from torch import Tensor

from speech.engine import Samples
from speech.errors import EngineBusy, SpeechError, SynthesisCancelled, SynthesisFailed
from speech.qwen.codec import StreamingCodec
from speech.qwen.frame import BROKEN, SPOKE
from speech.qwen.job import Job, Part
from speech.qwen.runner import BATCHES, Runner, round_up
from speech.qwen.schedule import Costs, may_admit, may_prefill
from speech.qwen.slots import Sampling

_log = logging.getLogger(__name__)
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
        self.runner, self.codec, self.costs = runner, codec, Costs()
        self.underruns = 0
        self._sampling, self._prepare, self._clock = sampling, prepare, clock
        self._chunk = PREFILL_CHUNK[runner.device.type]
        self._waiting: list[Job] = []  # have a part, need a slot; in order of arrival
        self._seated: dict[int, Job] = {}  # by slot
        self._speaking: set[int] = set()

    # who is here --------------------------------------------------------------------------------------------------
    def ready(self, job: Job, part: Part) -> None:
        """A part of a job was made: take a place in the queue, or go on in the slot it has."""
        job.begin(part)
        if job.stream.cancelled:
            job.drop()
        elif job not in self._seated.values():
            self._waiting.append(job)
            self._waiting.sort(key=lambda one: one.playback.arrived)

    def failed(self, job: Job, error: SpeechError) -> None:
        """A part of a job could not be made."""
        job.stream.fail(error)
        for slot in [slot for slot, seated in self._seated.items() if seated is job]:
            self._free(slot)

    @property
    def busy(self) -> bool:
        """Whether a turn would do something. Jobs whose next part is being made wait for `ready`."""
        room = len(self._seated) < self.runner.slots
        return bool(self._waiting and room) or any(job.part is not None for job in self._seated.values())

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def seated(self) -> int:
        return len(self._seated)

    # a turn -------------------------------------------------------------------------------------------------------
    def turn(self) -> None:
        self._leave()
        self._join()
        self._read()
        if self._speaking:
            self._speak()

    def rehearse(self, part: Part) -> None:
        """Speak a few frames that nobody hears, in a free slot: the first request is not slow, and costs are known."""
        slot = next((i for i in range(self.runner.slots) if i not in self._seated), None)
        if slot is None:
            return
        prompt = part.prompt.embeddings
        self.runner.open(slot, part.prompt.text, 0, self._sampling)
        self.runner.prefill(slot, prompt[:-1])
        self.runner.start(slot, prompt[-1])
        for frames in (1, 2, 4, 8):
            began = self._clock()
            decoded = self.runner.decode([slot])
            spoken = self._clock()
            self._decode([slot], [[decoded.codes[slot].clamp(0)] * frames])
        self.costs.framed(self.runner.bucket([slot])[0], spoken - began)
        self.costs.decoded(self._clock() - spoken)
        self._vacate(slot)
        part.erase()

    def close(self) -> None:
        for slot in list(self._seated):
            self._free(slot)
        for job in self._waiting:
            job.drop()
        self._waiting.clear()

    def _leave(self) -> None:
        for job in [job for job in self._waiting if job.stream.cancelled]:
            self._waiting.remove(job)
            job.drop()
        for slot in [slot for slot, job in self._seated.items() if job.stream.cancelled]:
            self._free(slot)

    def _join(self) -> None:
        while self._waiting and len(self._seated) < self.runner.slots:
            slot = next(i for i in range(self.runner.slots) if i not in self._seated)
            rows = round_up(max([slot, *self._seated]) + 1, BATCHES, self.runner.slots)
            playing = [job.playback for job in self._seated.values()]
            if not may_admit(playing, self.costs, rows, self._clock()):
                return
            self._seated[slot] = self._waiting.pop(0)

    def _read(self) -> None:
        """One chunk for the newcomer with the nearest deadline; all of it when nobody is speaking."""
        while True:
            reading = {
                slot: job.part
                for slot, job in self._seated.items()
                if slot not in self._speaking and job.part is not None
            }
            rows = round_up(max(self._speaking, default=0) + 1, BATCHES, self.runner.slots)
            playing = [self._seated[slot].playback for slot in self._speaking]
            if not reading or not may_prefill(playing, self.costs, rows, self._clock()):
                return
            slot = min(reading, key=lambda slot: self._seated[slot].playback.deadline)
            self._guarded(slot, partial(self._read_chunk, part=reading[slot]))
            if self._speaking:
                return

    def _read_chunk(self, slot: int, part: Part) -> None:
        job, began = self._seated[slot], self._clock()
        prompt = part.prompt.embeddings
        if job.read == 0:
            self.runner.open(slot, part.prompt.text, job.seed, self._sampling)
            self.codec.reset(slot)
            if part.reference is not None:
                self.codec.prime(slot, part.reference)
        end = min(job.read + self._chunk, len(prompt) - 1)
        self.runner.prefill(slot, prompt[job.read : end])
        job.read = end
        if end == len(prompt) - 1:
            self.runner.start(slot, prompt[end])
            self._speaking.add(slot)
        self.costs.prefilled(self._clock() - began)

    def _speak(self) -> None:
        began, slots = self._clock(), sorted(self._speaking)
        rows, _ = self.runner.bucket(slots)
        try:
            decoded = self.runner.decode(slots)
        except (torch.OutOfMemoryError, MemoryError):
            self._shed(slots)
            return
        self.costs.framed(rows, self._clock() - began)
        for slot in slots:
            self._guarded(slot, partial(self._heard, status=decoded.status[slot], codes=decoded.codes[slot]))
        self._hand_over([slot for slot in slots if slot in self._speaking])

    def _heard(self, slot: int, status: int, codes: Tensor) -> None:
        job = self._seated[slot]
        if status == BROKEN:
            raise SynthesisFailed("the model computed what is no number; ask again with another seed")
        heard = job.heard(codes) if status == SPOKE else "end"
        if heard == "end":
            self._end_segment(slot)
        elif heard == "again":
            self._vacate(slot)

    def _end_segment(self, slot: int) -> None:
        job = self._seated[slot]
        while job.waiting_frames:
            frames = min(job.waiting_frames, 8)
            job.give(self._decode([slot], [job.take(frames)])[0], self._clock())
        self._next(slot)

    def _next(self, slot: int) -> None:
        """After a segment: the next one in the same slot, which is wiped in between, or the end of the job."""
        job = self._seated[slot]
        if job.end_segment(self._clock()):
            self._vacate(slot)
            self._prepare(job)
        else:
            self._free(slot)

    # sound --------------------------------------------------------------------------------------------------------
    def _hand_over(self, slots: Sequence[int]) -> None:
        """Decode what is due, streams with equally long chunks together, the nearest deadline first."""
        due: dict[int, list[int]] = {}
        for slot in sorted(slots, key=lambda slot: self._seated[slot].playback.deadline):
            if frames := self._seated[slot].due():
                due.setdefault(frames, []).append(slot)
        for frames, together in due.items():
            # On the CPU one by one: a batch gains nothing there, and alone the samples are the same to the bit.
            size = len(together) if self.runner.device.type == "cuda" else 1
            for start in range(0, len(together), size):
                self._sound(together[start : start + size], frames)

    def _sound(self, slots: Sequence[int], frames: int) -> None:
        began = self._clock()
        jobs = [self._seated[slot] for slot in slots]
        try:
            sounds = self._decode(slots, [job.take(frames) for job in jobs])
        except (torch.OutOfMemoryError, MemoryError):
            self._shed(slots)
            return
        self.costs.decoded((self._clock() - began) / len(slots))
        for slot, samples in zip(slots, sounds, strict=True):
            self._guarded(slot, partial(self._give, samples=samples))

    def _give(self, slot: int, samples: Samples) -> None:
        self._seated[slot].give(samples, self._clock())

    def _decode(self, slots: Sequence[int], codes: Sequence[Sequence[Tensor]]) -> list[Samples]:
        table = torch.stack([torch.stack(list(frames), dim=1) for frames in codes])
        device = self.runner.device
        sound = self.codec.decode(table.to(device), torch.tensor(list(slots), device=device))
        return list(sound.cpu().numpy())

    # when things go wrong -----------------------------------------------------------------------------------------
    def _guarded(self, slot: int, work: Callable[[int], None]) -> None:
        """What fails here ends the job in this slot and no other."""
        try:
            work(slot)
        except SynthesisCancelled:
            self._free(slot)
        except Exception as error:  # noqa: BLE001 - one request's failure must not end the engine
            self._fail(slot, understood(error))

    def _shed(self, slots: Sequence[int]) -> None:
        """Out of memory: the newest of them goes, so that the others can stay."""
        newest = max(slots, key=lambda slot: self._seated[slot].playback.arrived)
        _log.error("out of memory with %d requests; the newest is refused", len(self._seated))
        self._fail(newest, understood(MemoryError()))
        if self.runner.device.type == "cuda":
            torch.cuda.empty_cache()

    def _fail(self, slot: int, error: SpeechError) -> None:
        self._seated[slot].stream.fail(error)
        self._free(slot)

    def _vacate(self, slot: int) -> None:
        """Wipe the slot's state; the job keeps its place."""
        self._speaking.discard(slot)
        self.runner.release(slot)
        self.codec.reset(slot)

    def _free(self, slot: int) -> None:
        self._vacate(slot)
        job = self._seated.pop(slot)
        job.drop()
        self.underruns += job.playback.underruns


def understood(error: Exception) -> SpeechError:
    """The error as a caller may see it. Of one that nobody raised on purpose only type and place are logged: its
    message might hold a text.
    """
    if isinstance(error, SpeechError):
        return error
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return EngineBusy("the engine ran out of memory; ask again later, or give it fewer slots")
    place = traceback.extract_tb(error.__traceback__)[-1]
    _log.error("synthesis failed: %s at %s:%s", type(error).__name__, place.name, place.lineno)
    return SynthesisFailed("the engine failed on this request; others are not affected")
