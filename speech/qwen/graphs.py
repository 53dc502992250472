"""The frame, made ready for each bucket of rows and positions: as it is, compiled, or captured as a CUDA graph.

A captured graph reads and writes the addresses that it saw, so a bucket's view of the slots is made once and kept.
So does a compiled frame on a CPU: it is called again with the tensors of its first call, and the compiler's guards,
which would look at every weight before every frame, are looked at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor

from speech.qwen.compiling import has_compiler, recorded, remembering
from speech.qwen.failures import out_of_memory
from speech.qwen.frame import Frame
from speech.qwen.slots import State

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
Run: TypeAlias = Callable[[], tuple[Tensor, Tensor]]  # one frame: the table of codes, and leads


class Graphs:
    """Of one frame over one state. compile_s: spent compiling and capturing so far."""

    def __init__(self, frame: Frame, state: State) -> None:
        self.frame, self.state = frame, state
        self.device = frame.silence.device
        self.call: Callable[[State], tuple[Tensor, Tensor]] = frame
        self.compiled = False
        self.compile_s = 0.0
        self._runs: dict[tuple[int, int], Run] = {}
        self._pool: Any = None  # graphs never run at the same time, so they share what they compute in

    def warm_up(self, buckets: Iterable[tuple[int, int]], *, compile: bool) -> None:
        """Make these buckets ready. A compiler that fails is no compiler: the frame then runs as it is."""
        began, wanted = time.perf_counter(), list(buckets)
        if compile and not self.compiled and has_compiler(self.device):
            try:
                compiled = torch.compile(self.frame.__call__, fullgraph=True, backend=remembering)
                self._use(compiled, compiled=True)
                self._run_all(wanted)
            except Exception as error:
                if out_of_memory(error):
                    raise
                _log.warning("the frame cannot be compiled here (%s); it runs eagerly", type(error).__name__)
                self._use(self.frame, compiled=False)
        self._run_all(wanted)
        self.compile_s += time.perf_counter() - began

    def run(self, rows: int, length: int) -> Run:
        run = self._runs.get((rows, length))
        if run is None:
            view = self.state.first(rows, length)
            if self.compiled:
                _vary(view)
            run = self._captured(view) if self.device.type == "cuda" else self._plain(view)
            self._runs[rows, length] = run
        return run

    def rehearse(self, rows: int, length: int) -> None:
        """A frame of so many rows that moves nobody on."""
        with torch.inference_mode():
            self._rehearse(self.state.first(rows, length))

    def _use(self, call: Callable[[State], tuple[Tensor, Tensor]], *, compiled: bool) -> None:
        self.call, self.compiled = call, compiled
        self._runs.clear()

    def _run_all(self, buckets: Iterable[tuple[int, int]]) -> None:
        with torch.inference_mode():
            for rows, length in buckets:
                self.run(rows, length)

    def _plain(self, view: State) -> Run:
        if not self.compiled:
            return lambda: self.call(view)
        with recorded() as calls:
            self._rehearse(view)
        (run,) = calls  # a frame is one graph
        return run

    def _rehearse(self, view: State) -> None:
        """A frame that moves nobody on: what compiles, and lets libraries allocate."""
        awake = view.active.clone()
        view.active.zero_()
        try:
            self.call(view)
        finally:
            view.active.copy_(awake)

    def _captured(self, view: State) -> Run:
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        return capture(lambda: self.call(view), self._pool, rehearse=lambda: self._rehearse(view))


def capture(
    call: Callable[[], _T], pool: Any, *, rehearse: Callable[[], object] | None = None
) -> Callable[[], _T]:
    """A CUDA graph: the kernels of a call recorded once; replaying them costs one launch, and gives the same tensors.

    pool: of memory, shared by graphs that never run at the same time. rehearse: does what the call does, if the call
    itself must not be made for nothing.
    """
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):
            (rehearse or call)()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # Prompts are made in another thread meanwhile.
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        out = call()

    def replay() -> _T:
        graph.replay()
        return out

    return replay


def _vary(view: State) -> None:
    """Tell the compiler what changes from bucket to bucket, so that it compiles once for all; for one row again."""
    for tensor in view.tensors:
        torch._dynamo.maybe_mark_dynamic(tensor, 0)
    for keys, values in view.talker:
        torch._dynamo.maybe_mark_dynamic(keys, 1)
        torch._dynamo.maybe_mark_dynamic(values, 1)
