"""The codec, made ready for the pieces that streams are cut into: compiled on a CPU, captured as CUDA graphs.

All streams are cut alike (`schedule.chunk_frames`), so a few sizes serve them all. A piece of another size is decoded
as it comes: the same samples, but for rounding.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from speech.qwen.codec import StreamingCodec
from speech.qwen.compiling import has_compiler, recorded, remembering
from speech.qwen.failures import out_of_memory
from speech.qwen.graphs import capture

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Piece:
    """codes: int64[B, groups, T] and slots: int64[B], where `run` looks for them. It gives float32[B, samples].

    voice: what holds somebody's voice after a run.
    """

    codes: Tensor
    slots: Tensor
    run: Callable[[], Tensor]
    voice: tuple[Tensor, ...]


class Pieces:
    """Of one codec. compile_s: spent on making them ready so far."""

    def __init__(self, codec: StreamingCodec) -> None:
        self._codec = codec
        self.compile_s = 0.0
        self._rows: Sequence[int] = ()
        self._ready: dict[tuple[int, int], Piece] = {}

    def warm_up(self, rows: Sequence[int], frames: Iterable[int], *, compile: bool) -> None:
        """Make these ready, rows ascending. compile: where there is a compiler; one that fails is none."""
        began, self._rows = time.perf_counter(), rows
        sizes = list(itertools.product(rows, frames))
        try:
            with torch.inference_mode():
                if self._codec.device.type == "cuda":
                    pool = torch.cuda.graph_pool_handle()
                    self._ready = {size: self._captured(*size, pool) for size in sizes}
                elif compile and has_compiler(self._codec.device):
                    self._codec.vary()
                    self._ready = {size: self._compiled(*size) for size in sizes}
        except Exception as error:
            if out_of_memory(error):
                raise
            _log.warning("the codec cannot be compiled here (%s); it runs eagerly", type(error).__name__)
        self.compile_s += time.perf_counter() - began

    def decode(self, codes: Tensor, slots: Tensor) -> Tensor:
        """codes: int64[B, groups, T]. slots: int64[B]. Returns float32[B, samples] on the host."""
        many, _, frames = codes.shape
        rows = next((rows for rows in self._rows if rows >= many), many)
        piece = self._ready.get((rows, frames))
        if piece is None:
            return self._codec.decode(codes, slots).cpu()
        with torch.inference_mode():
            try:
                piece.codes[:many], piece.slots[:many] = codes, slots
                # Streams have moved on once it ran: no more memory of the device is asked for.
                return piece.run()[:many].to("cpu", copy=True)
            finally:
                piece.slots.fill_(self._codec.idle)
                for tensor in piece.voice:
                    tensor.zero_()

    def _compiled(self, rows: int, frames: int) -> Piece:
        """Called again with the same tensors, past the compiler's guards. One that fails may have moved its streams
        on: there must be one only.
        """
        codes, slots = self._codec.nobody(rows, frames)
        torch._dynamo.mark_static(codes)
        step = torch.compile(self._codec.step, fullgraph=True, backend=remembering)
        with recorded() as calls:
            step(codes, slots)
        (run,) = calls  # a step is one graph
        return Piece(codes, slots, lambda: run()[0], (codes,))

    def _captured(self, rows: int, frames: int, pool: object) -> Piece:
        codes, slots = self._codec.nobody(rows, frames)
        replay = capture(lambda: self._codec.step(codes, slots), pool)
        return Piece(codes, slots, replay, (codes, replay().zero_()))
