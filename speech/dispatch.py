"""One request at a time, in a thread of its own: what the embedded engine runs in.

A thread, because a blocking engine call on an event loop would stall a replica's health checks. Errors that
an engine did not raise on purpose become SynthesisFailed, and only their type and place are logged: their
message might hold a text.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar
from weakref import WeakSet

from foundation.redact import type_and_place
from speech.engine import SpeechRequest
from speech.errors import EngineUnavailable, SpeechError, SynthesisFailed
from speech.stream import QueuedStream

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Dispatcher:
    """Runs `speak(request, stream)` for one request after the other, first come first served."""

    def __init__(self, name: str, speak: Callable[[SpeechRequest, QueuedStream], None]) -> None:
        self._speak = speak
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._streams: WeakSet[QueuedStream] = WeakSet()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it takes requests: not closed, and its thread runs."""
        return not self._closed and self._thread.is_alive()

    def submit(self, request: SpeechRequest) -> QueuedStream:
        """Queue a request. Raises EngineUnavailable after `close`."""
        stream = QueuedStream(request.request_id, request.voice_id)
        with self._lock:
            self._refuse_if_closed()
            self._streams.add(stream)
            self._jobs.put(lambda: self._run(request, stream))
        return stream

    def call(self, work: Callable[[], _T]) -> _T:
        """Run `work` in the thread, in turn, and give back its result or raise its error."""
        future: Future[_T] = Future()

        def job() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
                future.set_exception(error)

        with self._lock:
            self._refuse_if_closed()
            self._jobs.put(job)
        return future.result()

    def cancel_voice(self, voice_id: str, code: str) -> int:
        """Cancel what runs, waits or was not yet taken of a voice; returns how many."""
        with self._lock:
            hit = [stream for stream in self._streams if stream.voice_id == voice_id and stream.live]
        for stream in hit:
            stream.cancel(code)
        return len(hit)

    def close(self) -> None:
        """Cancel everything and wait for the thread. Idempotent."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
            streams = list(self._streams)
        for stream in streams:
            stream.cancel("engine_closed")
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _run(self, request: SpeechRequest, stream: QueuedStream) -> None:
        if stream.cancelled:
            return
        try:
            self._speak(request, stream)
        except SpeechError as error:
            stream.fail(error)
        except Exception as error:  # noqa: BLE001 - one request's failure must not end the engine
            _log.error("synthesis failed: %s", type_and_place(error))
            stream.fail(SynthesisFailed("the engine failed on this request; others are not affected"))
        else:
            stream.finish()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise EngineUnavailable("the engine was closed")
