"""Runs frames and prefills over the slots: the one place that talks to the device.

A frame runs on the first rows of the buffers, rounded up to a bucket, and reads the caches up to a bucket of
positions. The only wait for the device is `decode`'s copy of codes to the host, once a frame.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from speech.qwen.attention import FLASH
from speech.qwen.frame import Frame
from speech.qwen.graphs import Graphs
from speech.qwen.slots import Sampling, State
from speech.qwen.threads import settle
from speech.qwen.transformer import Places

BATCHES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
LENGTHS: Final = (256, 512, 1024, 2048, 4096, 8192)
_TYPICAL_ROWS: Final = 4


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a frame said, on the host. status: int per row (frame.IDLE …). codes: int64[rows, groups].

    leads: float32[rows, groups], of each chosen code over the runner-up, where that is measured.
    """

    status: list[int]
    codes: Tensor
    leads: Tensor


class Runner:
    """`slots` requests at a time. Use from one thread.

    Life of a slot: `open`, `prefill` until done, `start`, `decode` with all others, `release`.
    """

    def __init__(self, frame: Frame, slots: int, positions: int) -> None:
        weight = frame.silence
        self.frame = frame
        self.device, self.dtype = weight.device, weight.dtype
        self.slots, self.positions = slots, positions
        self.state = State.allocate(frame.shape, slots, positions, self.device, self.dtype)
        self.graphs = Graphs(frame, self.state)
        self._at = [0] * slots  # the host's copy of each slot's position

    # a slot's life ----------------------------------------------------------------------------------------------
    def open(self, slot: int, text: Tensor, seed: int, sampling: Sampling) -> None:
        """Set a free slot up. text: [n, H], added to the talker's input of the first n frames."""
        self.state.prepare(slot, text, seed, sampling)
        self._at[slot] = 0

    def prefill(self, slot: int, prompt: Tensor) -> None:
        """Let the talker read prompt [n, H], a further part of a slot's; all but the prompt's last position."""
        frame, start, tokens = self.frame, self._at[slot], prompt.shape[0]
        at = torch.arange(start, start + tokens, device=self.device)
        cos, sin = frame.talker.cos[at][:, None], frame.talker.sin[at][:, None]
        rows = torch.zeros(1, 1, dtype=torch.int64, device=self.device)
        end = self.positions if frame.kernel == FLASH else start + tokens
        caches = [(k[slot : slot + 1, :end], v[slot : slot + 1, :end]) for k, v in self.state.talker]
        if frame.kernel == FLASH:
            places = Places(rows, at[None], cos, sin, None, at[:1].int())
        else:
            visible = torch.arange(end, device=self.device) <= at[:, None]
            shared = frame.shape.talker.heads // frame.shape.talker.kv_heads
            places = Places(rows, at[None], cos, sin, visible.repeat(shared, 1)[None, None], None)
        with torch.inference_mode():
            frame.talker(prompt[None], places, caches)
        self._at[slot] = start + tokens
        self.state.position[slot] = start + tokens

    def start(self, slot: int, last: Tensor) -> None:
        """The prompt's last position, [H]: the slot takes part from the next frame on."""
        self.state.input[slot] = last
        self.state.active[slot] = True

    def release(self, slot: int) -> None:
        """Wipe a slot."""
        self.state.wipe(slot)
        self._at[slot] = 0

    # frames -----------------------------------------------------------------------------------------------------
    def decode(self, occupied: Sequence[int]) -> Decoded:
        """One frame for the active slots among `occupied` (not empty)."""
        rows, length = self.bucket(occupied)
        with torch.inference_mode():
            table, leads = self.graphs.run(rows, length)()
            host = table.to("cpu")
        for slot in occupied:
            self._at[slot] += 1
        return Decoded(host[:, 0].tolist(), host[:, 1:], leads)

    def bucket(self, occupied: Sequence[int]) -> tuple[int, int]:
        """(rows, positions) that a frame for these slots computes on."""
        rows = round_up(max(occupied) + 1, BATCHES, self.slots)
        if self.frame.kernel == FLASH:  # reads no further than each slot's own position
            return rows, self.positions
        # Every row of the frame writes at its own position, also one whose prompt is still being read.
        return rows, round_up(max(self._at[:rows]) + 1, LENGTHS, self.positions)

    def warm_up(self, *, compile: bool = True, threads: int | None = None) -> None:
        """Compile where a compiler exists, and run or capture what will be asked for; while nobody speaks.

        threads: of a CPU; None for as many as make frames quickest.
        """
        if self.device.type == "cpu":
            rows = round_up(_TYPICAL_ROWS, BATCHES, self.slots)
            settle(lambda: self.graphs.rehearse(rows, round_up(1, LENGTHS, self.positions)), threads)
        self.graphs.warm_up(self._buckets(), compile=compile)

    def _buckets(self) -> Iterator[tuple[int, int]]:
        """Every bucket there is, where each is captured; where sizes are variables to the compiler, a few."""
        captured = self.device.type == "cuda"
        rows = [round_up(size, BATCHES, self.slots) for size in (BATCHES if captured else BATCHES[:3])]
        lengths = [round_up(size, LENGTHS, self.positions) for size in (LENGTHS if captured else LENGTHS[:2])]
        if self.frame.kernel == FLASH:
            lengths = [self.positions]
        return itertools.product(dict.fromkeys(rows), dict.fromkeys(lengths))


def round_up(wanted: int, buckets: Sequence[int], most: int) -> int:
    return min(most, next((bucket for bucket in buckets if bucket >= wanted), most))
