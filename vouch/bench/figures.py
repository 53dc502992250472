"""One JSON line per figure, and how a figure is taken.

Ours and the peer run in turns within one run, so that whatever else the machine does meets both alike. A figure says
nothing about another machine: the first line of every run names this one.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

Work = Callable[[], float]  # does one piece of work; returns how much that was, in the figure's unit

_SLICE_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement. `peer` and `peer_value` come together or not at all."""

    bench: str
    case: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    less_is_better: bool = False

    def to_json(self) -> dict[str, Any]:
        """As DESIGN has it: without a peer, three keys are left out; `ratio` is above 1 where ours is better."""
        line: dict[str, Any] = {
            "bench": self.bench,
            "case": self.case,
            "value": _rounded(self.value),
            "unit": self.unit,
        }
        if self.peer is not None and self.peer_value is not None:
            over, under = self.value, self.peer_value
            if self.less_is_better:
                over, under = under, over
            line |= {
                "peer": self.peer,
                "peer_value": _rounded(self.peer_value),
                "ratio": _rounded(over / under),
            }
        return line


def machine() -> dict[str, Any]:
    """What this machine is, without its name."""
    gpu = _gpu()
    return {
        "machine": {
            "cpu": _cpu(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
            "load_before": round(os.getloadavg()[0], 2),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            **{name: version(name) for name in ("vouch", "torch", "ray", "qwen-tts")},
            **({"gpu": gpu} if gpu else {}),
        }
    }


def show(line: Figure | dict[str, Any]) -> None:
    """Print one line, at once: a long run shows what it has."""
    body = line.to_json() if isinstance(line, Figure) else line
    sys.stdout.write(json.dumps(body, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def rates(
    works: Sequence[Work], seconds: float, *, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """How much each work does per second, measured in turns of a quarter of a second for `seconds` in all.

    clock: what a second is; `time.process_time` for what a work computes, whoever else uses the machine.
    Each runs once before, unmeasured, and at least once measured however short `seconds` is.
    """
    for work in works:
        work()
    done, spent = [0.0] * len(works), [0.0] * len(works)
    until = time.perf_counter() + seconds
    while True:
        for index, work in enumerate(works):
            began, began_by_clock = time.perf_counter(), clock()
            while True:
                done[index] += work()
                took = time.perf_counter() - began
                if took >= _SLICE_S or time.perf_counter() >= until:
                    break
            spent[index] += clock() - began_by_clock
        if time.perf_counter() >= until:
            return [amount / time_s for amount, time_s in zip(done, spent, strict=True)]


def _rounded(value: float) -> float:
    """Four significant digits: more would be noise."""
    return float(f"{value:.4g}")


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - procfs
            named = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        named = []
    return named[0] if named else platform.machine()


def _gpu() -> str:
    import torch

    return str(torch.cuda.get_device_name(0)) if torch.cuda.is_available() else ""
