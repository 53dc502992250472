"""The same request gives the same clip (DESIGN I8): the cache key, and one flight at a time for each key."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import rfc8785

from consent_service.grants import Utterance
from speech.engine import EngineInfo

T = TypeVar("T")


def cache_key(
    scope: str, utterance: Utterance, engine: EngineInfo, *, seed: int | None, profile: str, media_type: str
) -> str:
    """SHA-256, hex. `scope` is the gate's (tenant, grantee, purpose, consent and version, voice, epoch, prompt digest).

    A request without a seed has the seed of its key, see `seed_of`; `None` keeps the two apart.
    """
    body = {
        "scope": scope,
        "said": utterance.digest(),
        "engine": engine.name,
        "model": engine.model_digest,
        "seed": seed,
        "profile": profile,
        "media_type": media_type,
        "v": 1,
    }
    return hashlib.sha256(rfc8785.dumps(body)).hexdigest()


def seed_of(key: str) -> int:
    """A seed that depends on the request alone: 31 bits of its cache key."""
    return int(key[:8], 16) & 0x7FFF_FFFF


class SingleFlight(Generic[T]):
    """Concurrent calls under one key share one run; a failure is shared too, and forgotten.

    The run belongs to all who wait: it is cancelled only when the last of them has gone.
    """

    def __init__(self) -> None:
        self._running: dict[str, tuple[asyncio.Task[T], int]] = {}

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """(result, whether this caller led the flight)."""
        task, waiting = self._running.get(key, (None, 0))
        leads = task is None
        if task is None:
            task = asyncio.ensure_future(work())
            task.add_done_callback(lambda _: self._running.pop(key, None))
        self._running[key] = (task, waiting + 1)
        try:
            return await asyncio.shield(task), leads
        finally:
            if key in self._running:
                task, waiting = self._running[key]
                self._running[key] = (task, waiting - 1)
                if waiting == 1 and not task.done():
                    task.cancel()
