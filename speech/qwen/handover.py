"""From codes to listeners: decodes the chunks that are due and hands them over.

A chunk's length is a function of the place in its stream alone (`schedule.chunk_frames`), so a request gives the
same samples whoever else is here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import torch
from torch import Tensor

from speech.engine import Samples
from speech.qwen.failures import out_of_memory, understood
from speech.qwen.pieces import Pieces
from speech.qwen.runner import BATCHES, round_up
from speech.qwen.schedule import PIECES, Costs, largest_piece
from speech.qwen.seats import Seats

_TOGETHER: Final = 32  # streams at most: what a decode needs of the memory beside the slots grows with them


class HandOver:
    """The codec's side of a turn."""

    def __init__(self, seats: Seats, costs: Costs, clock: Callable[[], float]) -> None:
        self._seats, self._costs, self._clock = seats, costs, clock
        # On the CPU one by one: a batch gains nothing there, and alone the samples are the same to the bit.
        self.together = _TOGETHER if seats.runner.device.type == "cuda" else 1
        self.pieces = Pieces(seats.codec)

    def warm_up(self, *, compile: bool) -> None:
        """Make the codec ready for every piece that will be asked for; while nobody speaks."""
        most = min(self.together, self._seats.runner.slots)
        rows = sorted({round_up(many, BATCHES, most) for many in BATCHES})
        self.pieces.warm_up(rows, PIECES, compile=compile)

    def due(self, slots: Sequence[int]) -> None:
        """What is due: streams with equally long chunks together, the nearest deadline first."""
        jobs, due = self._seats.jobs, dict[int, list[int]]()
        for slot in sorted(slots, key=lambda slot: jobs[slot].playback.deadline):
            if frames := jobs[slot].due():
                due.setdefault(frames, []).append(slot)
        for frames, together in due.items():
            for start in range(0, len(together), self.together):
                self._sound(together[start : start + self.together], frames)

    def rest(self, slot: int) -> None:
        """All that is left of a segment."""
        job = self._seats.jobs[slot]
        while frames := largest_piece(job.waiting_frames):
            (samples,) = self.decode([slot], [job.upcoming(frames)])
            job.decoded(frames)
            job.give(samples, self._clock())

    def decode(self, slots: Sequence[int], codes: Sequence[Sequence[Tensor]]) -> list[Samples]:
        """codes: of each slot equally many frames, int64[groups] each."""
        table = torch.stack([torch.stack(list(frames), dim=1) for frames in codes])
        device = self._seats.runner.device
        return list(self.pieces.decode(table.to(device), torch.tensor(list(slots), device=device)).numpy())

    def _sound(self, slots: Sequence[int], frames: int) -> None:
        began, seats = self._clock(), self._seats
        try:
            sounds = self.decode(slots, [seats.jobs[slot].upcoming(frames) for slot in slots])
        except Exception as error:  # noqa: BLE001 - the engine outlives a chunk that cannot be decoded
            # Short of memory, the codec has changed nothing: who stays is decoded again in the next turn.
            if out_of_memory(error):
                seats.shed(slots)
                return
            reason = understood(error)
            for slot in slots:
                seats.fail(slot, reason)
            return
        self._costs.decoded((self._clock() - began) / len(slots))
        for slot, samples in zip(slots, sounds, strict=True):
            seats.jobs[slot].decoded(frames)
            seats.guarded(slot, partial(self._give, samples=samples))

    def _give(self, slot: int, samples: Samples) -> None:
        self._seats.jobs[slot].give(samples, self._clock())
