"""Where an engine's time goes on a CPU: the share of the wall clock spent in the model's own matrix products.

Linear layers, attention and convolutions are products of matrices that the model asks for; everything else, be it
norms, sampling, copies or Python, is what an engine adds or could do without.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from vouch.bench.engine_load import Turn
from vouch.bench.figures import Figure

_PRODUCTS: Final[dict[str, tuple[str, ...]]] = {
    "linear": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "mkl::", "mkldnn::_linear"),
    "convolution": ("aten::mkldnn_convolution", "aten::_slow_conv", "mkldnn::_convolution"),
    "attention": ("aten::_scaled_dot_product", "aten::_flash_attention"),
}


def profile(case: str, speak: Callable[[], Turn]) -> Iterator[Figure]:
    """Shares of the wall time of one turn, in percent."""
    import torch

    speak()
    every_thread = torch._C._profiler._ExperimentalConfig(profile_all_threads=True)
    cpu = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=cpu, experimental_config=every_thread) as profiler:
        began = time.perf_counter()
        speak()
        wall_us = 1e6 * (time.perf_counter() - began)
    spent = dict.fromkeys(_PRODUCTS, 0.0)
    for event in profiler.key_averages():
        kind = _kind(event)
        if kind is not None:
            spent[kind] += float(event.self_cpu_time_total)
    for kind, used_us in spent.items():
        yield Figure("engine", f"{case}-profile-{kind}", 100 * used_us / wall_us, "% of wall time")
    yield Figure("engine", f"{case}-profile-products", 100 * sum(spent.values()) / wall_us, "% of wall time")


def _kind(event: Any) -> str | None:
    name = str(event.key)
    return next((kind for kind, starts in _PRODUCTS.items() if name.startswith(starts)), None)
