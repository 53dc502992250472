"""What is compiled serves every engine of a process, keeps none of them, and says when memory was missing."""

from __future__ import annotations

import copy
import gc
import weakref
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch._dynamo.eval_frame import _debug_get_cache_entry_list

from speech.qwen.compiling import recorded, remembering
from speech.qwen.failures import out_of_memory
from speech.qwen.frame import Frame
from speech.qwen.graphs import has_compiler
from speech.qwen.model import QwenModel
from speech.qwen.runner import Runner

pytestmark = [
    pytest.mark.timeout(900),  # the compiler, on a busy machine
    pytest.mark.skipif(not has_compiler(torch.device("cpu")), reason="no C++ compiler"),
]


def small(frame: Frame) -> Frame:
    """A frame of its own, of one layer and two codes, as each takes the compiler its time."""
    frame = copy.copy(frame)
    frame.talker, frame.predictor = copy.copy(frame.talker), copy.copy(frame.predictor)
    frame.shape = replace(frame.shape, talker=replace(frame.shape.talker, layers=1))
    frame.talker.layers, frame.predictor.steps = frame.talker.layers[:1], frame.predictor.steps[:1]
    return frame


def warm(model: QwenModel) -> Runner:
    runner = Runner(small(model.frame), 1, 64)
    runner.warm_up(threads=torch.get_num_threads())
    assert runner.graphs.compiled
    return runner


def test_a_second_engine_shares_what_was_compiled_for_the_first(models: dict[str, QwenModel]) -> None:
    """torch.compile gives up at the ninth version of a function: two or three engines of several buckets."""
    model = models["custom_voice"]
    first = warm(model)
    entries = len(_debug_get_cache_entry_list(Frame.__call__))
    second = warm(model)
    assert len(_debug_get_cache_entry_list(Frame.__call__)) == entries
    for runner in (first, second):
        assert runner.decode([0]).status == [0]


def test_an_engine_that_is_dropped_leaves_no_slot_in_memory(models: dict[str, QwenModel]) -> None:
    """A slot is a voice; and where memory is short, the smaller checkpoint needs the room of the larger."""
    runner = warm(models["custom_voice"])
    runner.decode([0])
    left = [weakref.ref(runner.state.input), weakref.ref(runner.frame)]
    del runner
    gc.collect()
    assert [one() for one in left] == [None, None]


def test_calls_are_kept_for_who_asked_and_no_longer() -> None:
    doubled = torch.compile(_doubled, fullgraph=True, backend=remembering)
    doubled(torch.ones(2))
    x = torch.ones(2)
    with recorded() as calls:
        doubled(x)
    doubled(torch.zeros(2))
    (again,) = calls
    x.fill_(3)
    assert again()[0].tolist() == [6, 6]


def test_memory_that_compiled_code_does_not_get_is_missing_memory() -> None:
    squared = torch.compile(_squared, fullgraph=True, dynamic=True, backend=remembering)
    squared(torch.ones(9))
    with pytest.raises(RuntimeError) as raised:
        squared(torch.ones(1_000_000))  # 4 TB
    assert out_of_memory(raised.value)


def _doubled(x: Tensor) -> Tensor:
    return x * 2


def _squared(x: Tensor) -> Tensor:
    wide = x[:, None] * x[None, :]
    return torch.mm(wide, wide[:, :4].contiguous())
