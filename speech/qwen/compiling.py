"""Inductor, remembering with what its code was called: a compiled frame can be called again past the guards.

`torch.compile` keeps a backend, and the code that it made, as long as the process lives; and frames share code, of
which there may be eight to a function, only where they have the same backend. So the backend is one for all, and
what was called is kept for nobody but who asked for it.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

Call: TypeAlias = Callable[[], Any]


class _Recorder(threading.local):
    calls: list[Call] | None = None


_recorder = _Recorder()


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """The calls of code that `remembering` made, in this thread: each as it can be made again, on the same tensors."""
    calls: list[Call] = []
    _recorder.calls = calls
    try:
        yield calls
    finally:
        _recorder.calls = None


def remembering(graph: torch.fx.GraphModule, inputs: Sequence[Any]) -> Callable[..., Any]:
    """A backend for `torch.compile`."""
    from torch._inductor.compile_fx import compile_fx  # heavy, and not wanted where nothing is compiled

    # On a CPU without Python between the kernels, which takes as long as a small model's kernels do.
    on_cpu = all(one.device.type == "cpu" for one in inputs if isinstance(one, Tensor))
    compiled = compile_fx(graph, inputs, config_patches={"cpp_wrapper": True} if on_cpu else {})

    def call(*tensors: Any) -> Any:
        if _recorder.calls is not None:
            _recorder.calls.append(partial(compiled, *tensors))
        return compiled(*tensors)

    return call


def has_compiler(device: torch.device) -> bool:
    """Whether torch.compile has what it needs: Triton on CUDA, a C++ compiler on the CPU."""
    if device.type == "cuda":
        from torch.utils._triton import has_triton

        return bool(has_triton())
    return any(shutil.which(name) for name in ("g++", "clang++", "c++"))
