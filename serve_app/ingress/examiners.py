"""Looking at clips that anyone may hand in, a few at a time and apart from everything else.

A verdict costs seconds of CPU for minutes of audio, and asking is free and anonymous: on the threads that stamp and
store clips, a handful of small uploads would silence every caller. So it has threads of its own and a short queue.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from provenance.verdict import Verdict
from provenance.verify import Verifier
from serve_app.errors import RequestRefused


class Examiners:
    """Thread-safe. What was asked for counts until it has really ended, whoever has hung up."""

    def __init__(self, *, at_once: int = 1, waiting: int = 8) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="examiner")
        self._room = threading.BoundedSemaphore(at_once + waiting)

    async def verify(self, verifier: Verifier, data: bytes, sidecar: bytes | None = None) -> Verdict:
        """Raises RequestRefused overloaded, AudioTooLarge, AudioUnreadable or DecodingUnavailable."""
        if not self._room.acquire(blocking=False):
            raise RequestRefused("overloaded", "too many clips are being looked at; try again shortly")
        try:
            asked = self._threads.submit(verifier.verify, data, sidecar)
        except BaseException:
            self._room.release()
            raise
        asked.add_done_callback(self._leave)
        return await asyncio.wrap_future(asked)

    def _leave(self, _: Future[Verdict]) -> None:
        self._room.release()
