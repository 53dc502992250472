"""The same request gives the same clip (DESIGN I8): the cache key, and one flight at a time for each key."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import rfc8785

from consent_service.grants import Utterance
from speech.engine import EngineInfo

T = TypeVar("T")


def cache_key(
    scope: str, utterance: Utterance, engine: EngineInfo, *, seed: int | None, profile: str, delivery: str
) -> str:
    """SHA-256, hex. `scope` is the gate's (tenant, grantee, purpose, consent and version, voice and its epoch).

    delivery: format, sample rate and loudness.
    A request without a seed has the seed of its key, see `seed_of`; `None` keeps the two apart.
    """
    body = {
        "scope": scope,
        "said": utterance.digest(),
        "engine": engine.name,
        "model": engine.model_digest,
        "seed": seed,
        "profile": profile,
        "delivery": delivery,
        "v": 2,
    }
    return hashlib.sha256(rfc8785.dumps(body)).hexdigest()


def seed_of(key: str) -> int:
    """A seed that depends on the request alone: 31 bits of its cache key."""
    return int(key[:8], 16) & 0x7FFF_FFFF


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    waiting: int = 0


class SingleFlight(Generic[T]):
    """Concurrent calls under one key share one run; a failure is shared too, and forgotten.

    The run belongs to all who wait. When the last of them has gone, it is cancelled and nobody joins it any more;
    with `finish_alone` it goes on, and a later call joins it.
    """

    def __init__(self, *, finish_alone: bool = False) -> None:
        self._finish_alone = finish_alone
        self._running: dict[str, _Flight[T]] = {}

    def __len__(self) -> int:
        """Runs that have not ended."""
        return len(self._running)

    def has(self, key: str) -> bool:
        """Whether a call under this key would join a run rather than lead one."""
        return key in self._running

    def waiting(self, key: str) -> int:
        """How many calls wait for the run under this key."""
        flight = self._running.get(key)
        return flight.waiting if flight else 0

    async def run(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        flight = self._running.get(key)
        if flight is None:
            flight = self._running[key] = _Flight(asyncio.create_task(work()))
            flight.task.add_done_callback(partial(self._landed, key, flight))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not (flight.waiting or flight.task.done() or self._finish_alone):
                self._forget(key, flight)
                flight.task.cancel()

    def _landed(self, key: str, flight: _Flight[T], task: asyncio.Task[T]) -> None:
        self._forget(key, flight)
        if not task.cancelled():
            task.exception()  # with nobody waiting, asyncio would log it in full

    def _forget(self, key: str, flight: _Flight[T]) -> None:
        if self._running.get(key) is flight:
            del self._running[key]
