"""How many threads a CPU engine computes with: as many as make its own frame quickest.

A frame is hundreds of small products. For a small model the barriers at which threads wait for each other cost more
than the threads gain; for a published one they are worth having. Which it is, is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

_ROUNDS = 3


def settle(frame: Callable[[], object], threads: int | None = None) -> int:
    """Compute with `threads` from now on, or with the number that runs `frame` quickest. Returns it.

    Call it before anything is compiled: compiled code keeps the number it was made for.
    """
    chosen = threads or quickest(frame, torch.get_num_threads())
    torch.set_num_threads(chosen)
    # Part of the key under which compiled code is kept.
    torch._inductor.config.cpp.threads = chosen
    return chosen


def quickest(work: Callable[[], object], most: int) -> int:
    """The number of threads, up to `most`, that does this in the shortest time. This thread is left with another."""
    return min(_candidates(most), key=lambda count: _seconds(work, count))


def _candidates(most: int) -> list[int]:
    """1, 2, 4 … and `most`, which comes first: between equals, it wins."""
    return sorted({most, *(1 << bit for bit in range(most.bit_length()) if 1 << bit <= most)}, reverse=True)


def _seconds(work: Callable[[], object], threads: int) -> float:
    torch.set_num_threads(threads)
    work()
    taken = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)
