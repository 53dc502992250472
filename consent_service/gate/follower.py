"""One look at the revocation feed for all who wait for it in a process, however many they are.

While somebody waits, one thread asks the ledger for the feed's last number: when PostgreSQL notifies it, and a few
times a second underneath, which on SQLite is all there is. An answer holds for everything that was committed before
its question: it comes from a look that began after the question. Where no look succeeds in time, or the thread ends,
those who wait are refused (DESIGN I2).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from consent_service.core import Core
from consent_service.errors import LedgerUnavailable
from consent_service.gate import revocations

log = logging.getLogger("vouch.consent")

IDLE_S: Final = 10.0  # the thread ends when nobody has waited for so long


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    after: int
    asked_at: float
    until: float
    answer: Future[bool] = field(default_factory=Future)


class RevocationFollower:
    """Thread-safe; those who wait may be on any event loop. clock: monotonic."""

    def __init__(
        self, core: Core, *, poll_s: float = revocations.POLL_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._core, self._poll_s, self._clock = core, poll_s, clock
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._waiters: list[_Waiter] = []
        self._last_waited = 0.0
        self._head = -1
        self._closed = False

    @property
    def head(self) -> int:
        """The feed's last number at the last look; -1 before the first."""
        return self._head

    async def has_news(self, after: int, wait_s: float) -> bool:
        """Whether the feed goes beyond `after`: as soon as it does, or not within `wait_s`. Raises LedgerUnavailable
        when the ledger could not be asked."""
        now = self._clock()
        waiter = _Waiter(after, now, now + wait_s)
        if not self._add(waiter):
            return True
        try:
            async with asyncio.timeout(wait_s + revocations.STALE_AFTER_S):
                return await asyncio.wrap_future(waiter.answer)
        except TimeoutError:
            raise LedgerUnavailable("the ledger does not answer; nothing is known of revocations") from None

    def close(self) -> None:
        """Refuse those who wait and all who come. Idempotent."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            thread.join(timeout=5)

    def _add(self, waiter: _Waiter) -> bool:
        """False: there is news already."""
        with self._lock:
            if self._closed:
                raise LedgerUnavailable("the revocation feed is closed")
            if self._head > waiter.after:
                return False
            self._waiters.append(waiter)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="revocation-follower", daemon=True)
                self._thread.start()
            return True

    def _run(self) -> None:
        try:
            with revocations.Wakeup(self._core) as wakeup:
                while not self._is_over():
                    asked_at = self._clock()
                    self._answer(revocations.head(self._core), asked_at)
                    wakeup.wait(self._poll_s)
        except Exception as exc:  # noqa: BLE001 - those who wait are refused; the next one starts another thread
            log.warning("the revocation feed cannot be read: %s", getattr(exc, "code", type(exc).__name__))
        finally:
            self._end()

    def _is_over(self) -> bool:
        with self._lock:
            now = self._clock()
            if self._waiters:
                self._last_waited = now
            is_idle = not self._waiters and now >= self._last_waited + IDLE_S
            if is_idle:
                self._thread = None  # whoever comes from now on starts another
            return is_idle or self._closed

    def _answer(self, head: int, asked_at: float) -> None:
        """Answer those for whom this look says enough."""
        with self._lock:
            self._head, now, waiting = head, self._clock(), self._waiters
            self._waiters = []
            for waiter in waiting:
                if head > waiter.after or (asked_at >= waiter.asked_at and now >= waiter.until):
                    _settle(waiter, head > waiter.after)
                elif not waiter.answer.cancelled():
                    self._waiters.append(waiter)

    def _end(self) -> None:
        with self._lock:
            if self._thread is not threading.current_thread():
                return
            self._thread = None
            waiting, self._waiters = self._waiters, []
        for waiter in waiting:
            _settle(waiter, LedgerUnavailable("the revocation feed cannot be read; nothing is released"))


def _settle(waiter: _Waiter, answer: bool | Exception) -> None:
    if not waiter.answer.set_running_or_notify_cancel():
        return  # whoever waited has left
    if isinstance(answer, Exception):
        waiter.answer.set_exception(answer)
    else:
        waiter.answer.set_result(answer)
