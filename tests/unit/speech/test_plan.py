"""The memory plan, against what is really allocated."""

from __future__ import annotations

import pytest
import torch

from speech.qwen.plan import plan, slot_bytes
from speech.qwen.shape import Shape, Stack
from speech.qwen.slots import State

TALKER = Stack(28, 2048, 6144, 16, 8, 128, 1e-6, 1e6)
PREDICTOR = Stack(5, 1024, 3072, 16, 8, 128, 1e-6, 1e6)
LARGE = Shape(TALKER, PREDICTOR, 16, 2048, 3072, 2048, 151_936)
TINY = Shape(
    Stack(2, 64, 128, 4, 2, 16, 1e-6, 1e4), Stack(1, 32, 64, 2, 1, 16, 1e-6, 1e4), 16, 512, 1536, 64, 512
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_slot_takes_what_was_planned_to_the_byte(dtype: torch.dtype) -> None:
    state = State.allocate(TINY, 3, 100, torch.device("cpu"), dtype)
    assert state.nbytes == 3 * slot_bytes(TINY, 100, dtype.itemsize)


def test_the_large_model_fits_many_times_into_a_large_gpu_and_not_at_all_into_a_small_one() -> None:
    large = plan(80 * 10**9, 0.9, LARGE)
    assert 1.7e9 < LARGE.weights < 2.3e9
    assert 100 < large.slots <= 256
    assert large.headroom >= 0
    assert large.memory >= large.weights + large.workspace + large.slots * large.slot
    quarter = plan(80 * 10**9, 0.225, LARGE)
    assert quarter.slots < large.slots / 3
    with pytest.raises(MemoryError, match="GB"):
        plan(8 * 10**9, 0.5, LARGE)


def test_longer_slots_are_fewer() -> None:
    assert plan(24 * 10**9, 0.9, LARGE, positions=4096).slots < plan(24 * 10**9, 0.9, LARGE).slots
