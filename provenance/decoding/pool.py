"""A few processes that take uploads apart, kept warm: the one door through which a stranger's bytes are read.

A process serves one upload at a time; it is replaced after a crash, a time-out, or `Budget.uses` uploads.
"""

from __future__ import annotations

import atexit
import threading
from functools import cache
from typing import Final

from provenance.audio import Limits, check_size
from provenance.decoding.budget import Budget
from provenance.decoding.process import Decoded, DecodingProcess, Ended
from provenance.errors import AudioUnreadable, DecodingUnavailable

LONGEST_SIDECAR: Final = 2 << 20


class Decoding:
    """Thread-safe. at_once: how many uploads are taken apart at the same time; others wait for a turn."""

    def __init__(self, *, at_once: int = 2, budget: Budget | None = None) -> None:
        self._budget: Final = budget or Budget()
        self._turns: Final = threading.BoundedSemaphore(at_once)
        self._lock: Final = threading.Lock()
        self._idle: list[DecodingProcess] = []

    def look(
        self, data: bytes, anchor: bytes, *, sidecar: bytes | None = None, limits: Limits | None = None
    ) -> Decoded:
        """anchor: our root, PEM. Raises AudioUnreadable (empty), AudioTooLarge, AudioTooCostly or DecodingUnavailable;
        sound that can't be read is `Decoded.refused`, since a manifest may still speak."""
        limits = limits or Limits()
        check_size(data, limits)
        if sidecar is not None and not 0 < len(sidecar) <= LONGEST_SIDECAR:
            raise AudioUnreadable(
                f"a detached manifest holds 1 to {LONGEST_SIDECAR:,} bytes", code="manifest_unreadable"
            )
        if not self._turns.acquire(timeout=self._budget.turn_s):
            raise DecodingUnavailable("too many files are being looked at; try again shortly")
        try:
            while True:
                process = self._take()
                try:
                    decoded = process.look(data, sidecar, anchor, limits)
                except Ended:
                    continue  # each such one leaves the pool, and a new one has not been idle
                with self._lock:
                    self._idle.append(process)
                return decoded
        finally:
            self._turns.release()

    def processes(self) -> tuple[DecodingProcess, ...]:
        """Those that wait for work."""
        with self._lock:
            return tuple(self._idle)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.close()

    def _take(self) -> DecodingProcess:
        """The process used last, since it is the warmest."""
        with self._lock:
            process = self._idle.pop() if self._idle else None
        if process is None:
            return DecodingProcess(self._budget)
        if process.spent:
            process.close()
            return DecodingProcess(self._budget)
        return process


@cache
def shared() -> Decoding:
    """This process's own: verifiers come and go, the processes stay warm."""
    decoding = Decoding()
    atexit.register(decoding.close)
    return decoding
