"""Rates of many callers at once: threads of one process, as a gate's are."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final

from vouch.bench.figures import Work, rates

_SLICE_S: Final = 0.5


def rates_of(works: Sequence[Work], seconds: float, callers: int) -> list[float]:
    """How much each work does per second with so many callers, in turns of half a second for `seconds` in all."""
    if callers == 1:
        return rates(works, seconds)
    done, spent = [0.0] * len(works), [0.0] * len(works)
    until = time.perf_counter() + seconds
    while True:
        for index, work in enumerate(works):
            began = time.perf_counter()
            done[index] += _slice(work, callers, _SLICE_S if seconds else 0.0)
            spent[index] += time.perf_counter() - began
        if time.perf_counter() >= until:
            return [amount / time_s for amount, time_s in zip(done, spent, strict=True)]


def _slice(work: Work, callers: int, seconds: float) -> float:
    """Every caller works at least once. Raises what a caller raised."""
    amounts, failed = [0.0] * callers, list[Exception]()
    until = time.perf_counter() + seconds

    def call(index: int) -> None:
        try:
            while True:
                amounts[index] += work()
                if time.perf_counter() >= until:
                    return
        except Exception as exc:  # noqa: BLE001 - raised again by the thread that measures
            failed.append(exc)

    threads = [threading.Thread(target=call, args=(index,)) for index in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return sum(amounts)
