"""One running synthesis as its consumer holds it: a queue of chunks with an end, a failure or a cancellation.

The only place where samples leave an engine, so the promises of `SpeechStream` are kept here for all engines:
chunks are float32, one-dimensional, never empty, finite, within −1…1; nothing comes after `cancel`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

import numpy as np

from speech.engine import Samples
from speech.errors import SpeechError, SynthesisCancelled, SynthesisFailed


class QueuedStream:
    """Producer side: `emit`, `finish`, `fail`. Consumer side: iterate, `cancel`.

    It is its own iterator: a consumer may take the first chunk, decide, and go on with the rest.
    """

    def __init__(self, request_id: str, voice_id: str) -> None:
        self.request_id = request_id
        self.voice_id = voice_id
        self._changed = threading.Condition()
        self._chunks: deque[Samples] = deque()
        self._ended = False
        self._taken = False  # the consumer has seen the end: too late to cancel
        self._failure: SpeechError | None = None
        self._cancelled: str | None = None

    # producer -----------------------------------------------------------------------------------------------
    @property
    def cancelled(self) -> bool:
        return self._cancelled is not None

    @property
    def live(self) -> bool:
        """Whether more may come, or something waits to be taken."""
        with self._changed:
            return self._cancelled is None and self._failure is None and not self._taken

    def emit(self, chunk: Samples) -> None:
        """Hand over float32[n]. Raises SynthesisCancelled when nobody wants it, SynthesisFailed for NaN, inf."""
        if not np.isfinite(chunk).all():
            raise SynthesisFailed("the engine made samples that are not numbers; ask again with another seed")
        with self._changed:
            self._raise_if_cancelled()
            if chunk.size:
                self._chunks.append(np.clip(chunk, -1.0, 1.0).astype(np.float32, copy=False))
                self._changed.notify_all()

    def finish(self) -> None:
        self._end(None)

    def fail(self, error: SpeechError) -> None:
        self._end(error)

    def _end(self, failure: SpeechError | None) -> None:
        """The first end stands: what was whole cannot fail afterwards, nor the other way round."""
        with self._changed:
            if not self._ended:
                self._failure, self._ended = failure, True
                self._changed.notify_all()

    # consumer -----------------------------------------------------------------------------------------------
    def __iter__(self) -> Iterator[Samples]:
        return self

    def __next__(self) -> Samples:
        with self._changed:
            while True:
                self._raise_if_cancelled()
                if self._chunks:
                    return self._chunks.popleft()
                if self._failure is not None:
                    raise type(self._failure)(self._failure.message, code=self._failure.code)
                if self._ended:
                    self._taken = True
                    raise StopIteration
                self._changed.wait()

    def cancel(self, code: str = "synthesis_cancelled") -> None:
        """Drop what was not taken and end with SynthesisCancelled. The first code stands."""
        with self._changed:
            if self._cancelled is None and not self._taken:
                self._cancelled = code
                self._chunks.clear()
                self._changed.notify_all()

    def _raise_if_cancelled(self) -> None:
        if self._cancelled is not None:
            raise SynthesisCancelled("the synthesis was cancelled", code=self._cancelled)
