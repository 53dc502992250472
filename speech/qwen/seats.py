"""Who sits in which slot, and how a request leaves it: with everything of it wiped.

A slot is either empty and clean, or taken by one job; there is no third state. What fails inside `guarded` ends
the job in that slot and no other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import torch

from speech.errors import SpeechError, SynthesisCancelled
from speech.qwen.codec import StreamingCodec
from speech.qwen.failures import understood
from speech.qwen.job import Job
from speech.qwen.runner import Runner

_log = logging.getLogger(__name__)


class Seats:
    """The slots of one runner and codec. jobs: by slot. speaking: slots that take part in frames."""

    def __init__(self, runner: Runner, codec: StreamingCodec) -> None:
        self.runner, self.codec = runner, codec
        self.jobs: dict[int, Job] = {}
        self.speaking: set[int] = set()
        self.underruns = 0  # of the jobs that have left

    def empty(self) -> int | None:
        """The lowest empty slot: frames compute on all rows up to the highest that is taken."""
        return next((slot for slot in range(self.runner.slots) if slot not in self.jobs), None)

    def of(self, job: Job) -> int | None:
        return next((slot for slot, seated in self.jobs.items() if seated is job), None)

    def vacate(self, slot: int) -> None:
        """Wipe a slot; its job, if there is one, keeps its place."""
        self.speaking.discard(slot)
        self.runner.release(slot)
        self.codec.reset(slot)

    def leave(self, slot: int) -> None:
        """The job's time is over. Its slot counts as empty only once it is clean."""
        job = self.jobs[slot]
        job.drop()
        self.underruns += job.playback.underruns
        self.vacate(slot)
        del self.jobs[slot]

    def fail(self, slot: int, error: SpeechError) -> None:
        self.jobs[slot].stream.fail(error)
        self.leave(slot)

    def guarded(self, slot: int, work: Callable[[int], None]) -> None:
        try:
            work(slot)
        except SynthesisCancelled:
            self.leave(slot)
        except Exception as error:  # noqa: BLE001 - one request's failure must not end the engine
            self.fail(slot, understood(error))

    def shed(self, slots: Sequence[int]) -> None:
        """Out of memory: the newest of them goes, so that the others can stay."""
        newest = max(slots, key=lambda slot: self.jobs[slot].playback.arrived)
        _log.error("out of memory with %d requests; the newest is refused", len(self.jobs))
        self.fail(newest, understood(MemoryError()))
        if self.runner.device.type == "cuda":
            torch.cuda.empty_cache()

    def wipe(self) -> None:
        """Everybody out. Raises what the device raises, when it cannot even do that."""
        for job in self.jobs.values():
            job.drop()
        self.jobs.clear()
        for slot in range(self.runner.slots):
            self.vacate(slot)
