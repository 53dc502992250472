"""The frame can be captured as a CUDA graph, as far as a machine without a GPU can tell.

It is traced without a break, and runs in bfloat16 on the meta device: no values exist there, so whatever depends on
one raises, and so does a copy to the host, or a tensor made on another device than the slots'. Where torch was built
for CUDA it runs on fake CUDA tensors, too. The capture itself runs against a stand-in for `torch.cuda`'s graphs, and
flash-attn's kernel is stood in for by plain arithmetic that insists on the documented arguments.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import fields, is_dataclass, replace
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from speech.qwen.attention import FLASH
from speech.qwen.compose import Prompt
from speech.qwen.frame import Frame
from speech.qwen.graphs import has_compiler
from speech.qwen.model import QwenModel
from speech.qwen.runner import Runner
from speech.qwen.slots import State
from tests.integration.speech.talk import POSITIONS, TIE, Talk, alone


@pytest.fixture(scope="module")
def model(models: dict[str, QwenModel]) -> QwenModel:
    return models["custom_voice"]


@pytest.fixture(scope="module")
def prompt(model: QwenModel) -> Prompt:
    return model.composer.custom("Hello there.", "en", "vivian", "")


def test_the_frame_is_traced_without_a_break(model: QwenModel, prompt: Prompt) -> None:
    plain, traced = Runner(model.frame, 2, 64), Runner(model.frame, 2, 64)
    traced.graphs.call = torch.compile(model.frame.__call__, fullgraph=True, backend="eager")
    expected = alone(plain, prompt, 4, sampling=model.sampling)
    assert alone(traced, prompt, 4, sampling=model.sampling).differs(expected) is None


@pytest.mark.timeout(900)  # the compiler, on a busy machine
@pytest.mark.skipif(not has_compiler(torch.device("cpu")), reason="no C++ compiler")
@pytest.mark.parametrize(("codes", "slots"), [(2, 1), pytest.param(16, 2, marks=pytest.mark.long)])
def test_the_compiled_frame_says_the_same(model: QwenModel, prompt: Prompt, codes: int, slots: int) -> None:
    """The short form compiles one row, one layer and two of a frame's codes, as each takes the compiler its time."""
    frame = copy.copy(model.frame)
    frame.talker, frame.predictor = copy.copy(frame.talker), copy.copy(frame.predictor)
    layers = 1 if codes < 16 else frame.shape.talker.layers
    frame.shape = replace(frame.shape, talker=replace(frame.shape.talker, layers=layers))
    frame.talker.layers = frame.talker.layers[:layers]
    frame.predictor.steps = frame.predictor.steps[: codes - 1]
    plain, compiled = Runner(frame, slots, 64), Runner(frame, slots, 64)
    compiled.warm_up()
    assert compiled.graphs.compiled
    compiled.graphs.call = once_more  # what is warmed up is past the compiler's door
    for slot in range(slots):
        seed = 1 + slot
        expected = alone(plain, prompt, 5, seed=seed, sampling=model.sampling, slot=slot)
        parted = alone(compiled, prompt, 5, seed=seed, sampling=model.sampling, slot=slot).differs(expected)
        assert parted is None or parted[2] < TIE


def once_more(state: State) -> tuple[Tensor, Tensor]:
    raise AssertionError("guards over every weight are looked at before a frame")


def test_the_frame_needs_no_value_and_no_host(model: QwenModel) -> None:
    frame, state = without_values(model.frame, torch.bfloat16)
    table, leads = frame(state)
    assert (table.device.type, tuple(table.shape)) == ("meta", (4, 17))
    assert tuple(leads.shape) == (4, 16)


@pytest.mark.skipif(not torch.backends.cuda.is_built(), reason="this torch was built without CUDA")
@pytest.mark.parametrize("kernel", ["sdpa", FLASH])
def test_the_frame_stays_on_its_device(model: QwenModel, kernel: str) -> None:
    """Fake CUDA tensors need a torch that was built for CUDA, and no GPU."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        source = with_flash(model.frame) if kernel == FLASH else model.frame
        frame, state = without_values(source, torch.bfloat16, "cuda:0")
        table, leads = frame(state)
        assert (table.device.type, tuple(table.shape)) == ("cuda", (4, 17))
        assert (leads.device.type, tuple(leads.shape)) == ("cuda", (4, 16))


@pytest.mark.parametrize("harm", ["item", "cpu", "branch", "nonzero", "tolist", "mask", "elsewhere"])
def test_the_check_notices_a_host_round_trip(model: QwenModel, harm: str) -> None:
    harms = {
        "item": lambda state: state.step[0].item(),
        "cpu": lambda state: state.step.cpu(),
        "branch": lambda state: 1 if state.active.any() else 0,
        "nonzero": lambda state: state.step.nonzero(),
        "tolist": lambda state: state.step.tolist(),
        "mask": lambda state: state.input[state.active],
        "elsewhere": lambda state: state.step + torch.arange(4),
    }
    _, state = without_values(model.frame, torch.bfloat16)
    # NotImplementedError is what torch raises for an operation that the meta device cannot have.
    with pytest.raises((RuntimeError, NotImplementedError), match=r"(?i)meta"):
        harms[harm](state)


def test_flash_attention_says_the_same(
    model: QwenModel, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "flash_attn", stand_in())
    expected = alone(Runner(model.frame, 2, POSITIONS), prompt, 6, sampling=model.sampling)
    runner = Runner(with_flash(model.frame), 2, POSITIONS)
    assert alone(runner, prompt, 6, sampling=model.sampling).differs(expected) is None
    assert alone(runner, prompt, 6, sampling=model.sampling, slot=1).differs(expected) is None


def test_flash_attention_keeps_the_frame_whole(model: QwenModel) -> None:
    flash = with_flash(model.frame)
    frame, state = without_values(flash, torch.bfloat16)
    table, _ = frame(state)
    assert table.device.type == "meta"


def test_what_is_warmed_up_is_what_will_be_asked_for(model: QwenModel) -> None:
    flash, plain = Runner(with_flash(model.frame), 4, POSITIONS), Runner(model.frame, 4, POSITIONS)
    for runner in (flash, plain):
        warm = set(runner._buckets())
        assert {runner.bucket([slot]) for slot in (0, 1, 3)} <= warm
    assert {length for _, length in flash._buckets()} == {POSITIONS}


def test_buffers_never_move(model: QwenModel, prompt: Prompt) -> None:
    runner = Runner(model.frame, 2, POSITIONS)
    places = [tensor.data_ptr() for tensor in runner.state.tensors]
    for seed in range(3):
        alone(runner, prompt, 3, seed=seed, sampling=model.sampling, slot=seed % 2)
    assert places == [tensor.data_ptr() for tensor in runner.state.tensors]


def test_a_frame_always_finds_its_buffers_where_they_were(model: QwenModel, prompt: Prompt) -> None:
    """A captured graph goes on reading the addresses of its bucket, whoever joins or leaves."""
    runner, seen = Runner(model.frame, 4, POSITIONS), dict[tuple[int, int], set[tuple[int, ...]]]()

    def watched(state: State) -> tuple[Tensor, Tensor]:
        bucket = state.step.shape[0], state.talker[0][0].shape[1]
        seen.setdefault(bucket, set()).add(tuple(tensor.data_ptr() for tensor in state.tensors))
        return model.frame(state)

    runner.graphs.call = watched
    for slot in (0, 3, 1, 0, 2, 3):
        alone(runner, prompt, 2, sampling=model.sampling, slot=slot)
    assert len(seen) == 3
    assert all(len(places) == 1 for places in seen.values())


def test_what_is_captured_says_what_is_run(
    model: QwenModel, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = alone(Runner(model.frame, 2, 300), prompt, 6, sampling=model.sampling, slot=1)
    runner = Runner(model.frame, 2, 300)
    captured = Captured(runner, monkeypatch)
    runner.warm_up(compile=False)
    assert captured.buckets == [(1, 256), (1, 300), (2, 256), (2, 300)]
    assert captured.pools == {"pool"}, "graphs share their memory"
    for tensor, clean in zip(runner.state.tensors, Runner(model.frame, 2, 300).state.tensors, strict=True):
        if tensor.dtype != torch.float32:  # caches at a position that will be written again
            assert torch.equal(tensor, clean), "a rehearsal moves nobody on"
    talk = Talk(runner, 1, prompt, 0, model.sampling)
    while not talk.read():
        pass
    for _ in range(6):
        decoded = runner.decode([1])
        talk.hear(decoded.status[1], decoded.codes[1].clone(), decoded.leads[1].clone())
    assert talk.take.differs(expected) is None
    assert len(captured.buckets) == 4, "what was warmed up is not captured again"


class Captured:
    """`torch.cuda`'s graphs on a CPU: a capture leaves no trace, as it only records; a replay computes from the same
    buffers into the same outputs.
    """

    def __init__(self, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
        self.buckets: list[tuple[int, int]] = []
        self.pools: set[Any] = set()
        frame, now = runner.frame, [None]
        runner.graphs.device = torch.device("cuda")

        class Graph:
            def replay(self) -> None:
                for out, value in zip(self.out, frame(self.view), strict=True):
                    out.copy_(value)

        def call(state: State) -> tuple[Tensor, Tensor]:
            graph: Any = now[0]
            if graph is None:
                return frame(state)
            before = [tensor.clone() for tensor in state.tensors]
            graph.view, graph.out = state, frame(state)
            for tensor, value in zip(state.tensors, before, strict=True):
                tensor.copy_(value)
            self.buckets.append((state.step.shape[0], state.talker[0][0].shape[1]))
            return graph.out

        @contextmanager
        def capture(graph: Any, *, pool: Any, capture_error_mode: str) -> Iterator[None]:
            assert capture_error_mode == "thread_local", "prompts are made in another thread meanwhile"
            self.pools.add(pool)
            now[0] = graph
            yield
            now[0] = None

        runner.graphs.call = call
        stream = SimpleNamespace(wait_stream=lambda other: None)
        stands_in = {
            "Stream": lambda: stream,
            "current_stream": lambda: stream,
            "stream": lambda _: nullcontext(),
            "CUDAGraph": Graph,
            "graph_pool_handle": lambda: "pool",
            "graph": capture,
        }
        for name, stand_in_ in stands_in.items():
            monkeypatch.setattr(torch.cuda, name, stand_in_)


def with_flash(frame: Frame) -> Frame:
    """The same weights, asking flash-attn to look back."""
    flash = copy.copy(frame)
    flash.kernel = FLASH
    flash.talker, flash.predictor = copy.copy(frame.talker), copy.copy(frame.predictor)
    for owner in (flash, flash.predictor):
        name = "talker" if owner is flash else "stack"
        stack = copy.copy(getattr(owner, name))
        stack.kernel = FLASH
        stack.layers = [copy.copy(layer) for layer in stack.layers]
        for layer in stack.layers:
            layer.kernel = FLASH
        setattr(owner, name, stack)
    shape = frame.shape
    flash.predictor.steps = [copy.copy(step) for step in frame.predictor.steps]
    for number, step in enumerate(flash.predictor.steps, 1):
        at = torch.arange(0 if number == 1 else number, number + 1)
        object.__setattr__(step, "places", flash.predictor._places(at, shape))
    return flash


def stand_in() -> ModuleType:
    """`flash_attn_with_kvcache` by its documented contract, in plain float arithmetic."""

    def flash_attn_with_kvcache(
        q: Tensor, keys: Tensor, values: Tensor, *, k: Tensor, v: Tensor, cache_seqlens: Tensor, causal: bool
    ) -> Tensor:
        assert causal
        assert cache_seqlens.dtype == torch.int32
        assert cache_seqlens.shape == (q.shape[0],)
        assert cache_seqlens.is_contiguous()
        assert keys.shape == values.shape
        assert keys.shape[0] == q.shape[0], "without cache_batch_idx a row of queries has a row of cache"
        assert k.shape == v.shape == (*q.shape[:2], *keys.shape[2:])
        assert q.shape[2] % keys.shape[2] == 0
        assert q.shape[3] == keys.shape[3]
        assert q.shape[3] % 8 == 0
        for tensor in (q, k, v, keys, values):
            assert tensor.dtype == q.dtype
            assert tensor.stride(-1) == 1
        out = torch.empty_like(q)
        for row, start in enumerate(cache_seqlens.tolist()):
            end = start + q.shape[1]
            keys[row, start:end], values[row, start:end] = k[row], v[row]
            shared = q.shape[2] // keys.shape[2]
            seen_k = keys[row, :end].repeat_interleave(shared, dim=1)
            seen_v = values[row, :end].repeat_interleave(shared, dim=1)
            scores = torch.einsum("thd,shd->hts", q[row], seen_k) / q.shape[-1] ** 0.5
            late = torch.arange(end)[None] > torch.arange(start, end)[:, None]
            likely = scores.masked_fill(late, -torch.inf).softmax(-1)
            out[row] = torch.einsum("hts,shd->thd", likely, seen_v)
        return out

    module = ModuleType("flash_attn")
    vars(module)["flash_attn_with_kvcache"] = flash_attn_with_kvcache
    return module


def without_values(frame: Frame, dtype: torch.dtype, device: str = "meta") -> tuple[Frame, State]:
    """The frame and a state of four slots where tensors have shapes and no values: on the meta device, or any in
    `FakeTensorMode`.
    """

    def moved(thing: Any) -> Any:
        if isinstance(thing, Tensor):
            kind = dtype if thing.is_floating_point() else thing.dtype
            return torch.empty(thing.shape, dtype=kind, device=device)
        if isinstance(thing, list):
            return [moved(one) for one in thing]
        if isinstance(thing, torch.nn.Module):
            return torch.nn.Linear(thing.in_features, thing.out_features, device=device, dtype=dtype)
        if is_dataclass(thing) and not isinstance(thing, type) and type(thing).__name__ in ("Step", "Places"):
            twin = copy.copy(thing)
            for item in fields(thing):
                object.__setattr__(twin, item.name, moved(getattr(thing, item.name)))
            return twin
        if type(thing).__module__.startswith("speech.qwen") and hasattr(thing, "__dict__"):
            twin = copy.copy(thing)
            vars(twin).update({name: moved(value) for name, value in vars(thing).items()})
            return twin
        return thing

    return moved(frame), State.allocate(frame.shape, 4, 64, torch.device(device), dtype)
