"""The engine's two threads: one drives the device, frame after frame; one makes prompts ready beside it.

A recording takes a fraction of a second to become a prompt; in the first thread it would silence everybody who
is listening.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

from speech.errors import EngineUnavailable, SynthesisFailed
from speech.qwen.batcher import Batcher
from speech.qwen.failures import understood
from speech.qwen.job import Job, Part

_T = TypeVar("_T")


class Worker:
    """Turns of all batchers, and whatever else must happen in the device's thread."""

    def __init__(self, batchers: Callable[[], Iterable[Batcher]]) -> None:
        self._batchers = batchers
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._stopping = False
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="speech-qwen-prompts")
        self._thread = threading.Thread(target=self._work, name="speech-qwen", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it takes work: not closed, and its thread runs."""
        return not self._closed and self._thread.is_alive()

    def post(self, work: Callable[[], None]) -> None:
        """Do this in the device's thread, soon. Raises EngineUnavailable after `close`."""
        with self._lock:
            if self._closed:
                raise EngineUnavailable("the engine was closed")
            self._inbox.put(work)

    def call(self, work: Callable[[], _T]) -> _T:
        """Do this in the device's thread, and give back its result or raise its error."""
        future: Future[_T] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
                future.set_exception(error)

        self.post(run)
        return future.result()

    def make(self, job: Job, batcher: Batcher) -> None:
        """Make a job's next part; it joins the batcher when it is done."""
        self._maker.submit(self._make, job, batcher)

    def close(self) -> None:
        """End after what was posted. Idempotent."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._inbox.put(self._stop)
        if threading.current_thread() is not self._thread:
            self._thread.join()
            self._maker.shutdown(cancel_futures=True)
            self._empty()

    def _stop(self) -> None:
        self._stopping = True

    def _empty(self) -> None:
        """What was made too late holds a voice, too: hand it in, to be erased."""
        with torch.inference_mode(), contextlib.suppress(queue.Empty):
            while True:
                self._do(self._inbox.get_nowait())

    def _make(self, job: Job, batcher: Batcher) -> None:
        if job.stream.cancelled:
            self._inbox.put(lambda: batcher.failed(job, SynthesisFailed("cancelled")))
            return
        try:
            with torch.inference_mode():
                part: Part = job.compose(job.text)
        except Exception as error:  # noqa: BLE001 - one request's failure must not end the engine
            refusal = understood(error)
            self._inbox.put(lambda: batcher.failed(job, refusal))
        else:
            self._inbox.put(lambda: batcher.ready(job, part))

    def _work(self) -> None:
        with torch.inference_mode():
            while not self._stopping:
                busy = [batcher for batcher in self._batchers() if batcher.busy]
                self._take(wait=not busy)
                for batcher in busy:
                    self._turn(batcher)
            for batcher in self._batchers():
                batcher.close()

    def _turn(self, batcher: Batcher) -> None:
        """Whatever happens in it, this thread goes on: every stream waits for it."""
        try:
            batcher.turn()
        except Exception as error:  # noqa: BLE001 - see above
            batcher.abandon(understood(error))

    def _take(self, *, wait: bool) -> None:
        """Everything that was posted; waits for something where there is nothing else to do."""
        if wait:
            self._do(self._inbox.get())
        while not self._stopping:
            try:
                work = self._inbox.get_nowait()
            except queue.Empty:
                return
            self._do(work)

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - who waits for this was told by the work itself
            understood(error)  # logged
