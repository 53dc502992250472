"""The time that a request has, and whether it was this that ended it.

A request whose time is up is cancelled, as one whose caller hung up is. Whoever closes its audit entry asks here
which of the two it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final

_running: Final[ContextVar[asyncio.Timeout | None]] = ContextVar("deadline", default=None)


@asynccontextmanager
async def deadline(seconds: float) -> AsyncGenerator[asyncio.Timeout]:
    """Cancel what runs within after `seconds`. Raises TimeoutError."""
    async with asyncio.timeout(seconds) as timer:
        token = _running.set(timer)
        try:
            yield timer
        finally:
            _running.reset(token)


def takes_its_time() -> None:
    """From here on the request waits for something that has a limit of its own: its deadline is lifted. Only after the
    body has been read."""
    timer = _running.get()
    if timer is not None and not timer.expired():
        timer.reschedule(None)


def why_cancelled() -> str:
    """Of a request that was cancelled: `deadline_exceeded`, or `disconnected`."""
    timer = _running.get()
    return "deadline_exceeded" if timer is not None and timer.expired() else "disconnected"
