"""A replica's knowledge of revocations: pulled, never only pushed, and useless once it is old (DESIGN I5)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Final

from consent_service.gate.revocations import Freshness
from consent_service.grants import Grant
from consent_service.models import Revocation
from foundation.redact import type_and_place
from serve_app.gate.protocol import Gate
from serve_app.metrics import Metrics

log = logging.getLogger("vouch.serve")


class RevocationWatch:
    """Long-polls the gate's feed. What it knows is as old as the moment it last *asked*, by the monotonic clock:
    anything committed before that moment is in the answer; of anything later it knows nothing."""

    def __init__(
        self,
        gate: Gate,
        *,
        wait_s: float,
        stale_after_s: float,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gate = gate
        self._wait_s: Final = wait_s
        self._knowledge: Final = Freshness(stale_after_s=stale_after_s, clock=clock)
        self._metrics = metrics
        self._epochs: dict[tuple[str, str], int] = {}
        self._cursor = 0
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.on_revocation: Callable[[Revocation], object] = lambda _: None

    async def start(self) -> None:
        """Read the whole feed once, so that a new replica knows the past, then keep reading."""
        while await self._pull(wait_s=0.0):
            pass
        self._task = asyncio.create_task(self._loop(), name="revocation-watch")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def revoked(self, grant: Grant) -> bool:
        """Whether the voice's epoch has moved past the grant's."""
        return self._epochs.get((grant.tenant, grant.voice_id), 0) > grant.voice_epoch

    @property
    def is_fresh(self) -> bool:
        return self._knowledge.is_fresh

    async def fresh(self, *, within_s: float = 2.0) -> bool:
        """Wait for knowledge younger than `stale_after_s`; False when none comes within `within_s` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not self.is_fresh:
                    self._news.clear()
                    await self._news.wait()
        return self.is_fresh

    async def _loop(self) -> None:
        while True:
            try:
                await self._pull(wait_s=self._wait_s)
            except Exception as exc:  # noqa: BLE001 - a watch that ended would leave the replica blind until restarted
                log.warning(
                    "the revocation feed cannot be read: %s", getattr(exc, "code", type_and_place(exc))
                )
                await asyncio.sleep(self._wait_s)

    async def _pull(self, *, wait_s: float) -> int:
        """Ask once; returns how many events came."""
        asked_at = self._knowledge.asking()
        feed = await self._gate.revocations(self._cursor, wait_s)
        for event in feed.events:
            voice = (event.tenant, event.voice_id)
            self._epochs[voice] = max(event.voice_epoch, self._epochs.get(voice, 0))
            self._metrics.observe("vouch_revocation_lag_ms", max(0.0, (time.time() - event.at) * 1e3))
            self._tell(event)
        self._cursor = feed.cursor
        self._knowledge.answered(asked_at)
        self._news.set()
        return len(feed.events)

    def _tell(self, event: Revocation) -> None:
        try:
            self.on_revocation(event)
        except Exception as exc:  # noqa: BLE001 - the epoch is noted already, and every chunk is held against it
            log.error("a revocation could not be passed to the engine: %s", type_and_place(exc))  # noqa: TRY400
