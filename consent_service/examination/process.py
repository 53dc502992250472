"""An examiner's process: recordings go in over a pipe, one JSON answer comes out (`foundation.worker_process`).

Whatever is not an answer is ExaminationUnavailable, never a "yes" (DESIGN I2).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from consent_service.errors import ExaminationUnavailable
from consent_service.examination.config import ExaminationConfig
from foundation.worker_process import Patience, WorkerGone, WorkerProcess, WorkerStuck

ANSWER: Final = b"A"
_LONGEST_ANSWER: Final = 64 * 1024


class ExaminerProcess:
    """One process. Thread-safe: callers take turns."""

    def __init__(self, command: Sequence[str], config: ExaminationConfig) -> None:
        self._worker: Final = WorkerProcess(
            command,
            Patience(config.cpu_s, config.stall_s, config.timeout_s),
            memory_bytes=config.memory_mb * 1024 * 1024,
            idle_s=config.idle_s,
        )
        self._longest_wait_s: Final = config.timeout_s
        self._turn: Final = threading.Lock()

    @property
    def pid(self) -> int | None:
        return self._worker.pid

    def ask(self, request: Mapping[str, Any], recordings: Sequence[bytes]) -> dict[str, Any]:
        """Its answer. Raises ExaminationUnavailable when it can't be started, dies twice, or makes no progress."""
        if not self._turn.acquire(timeout=self._longest_wait_s):
            raise _unavailable("is busy")
        try:
            try:
                return self._answer(request, recordings)
            except WorkerStuck:
                raise
            except WorkerGone:
                # One that ended while nobody asked (idle, killed) is replaced once, and asked again.
                return self._answer(request, recordings)
        except WorkerStuck:
            raise _unavailable("made no progress, or took too long") from None
        except WorkerGone:
            raise _unavailable("does not run") from None
        finally:
            self._turn.release()

    def warm_up(self) -> None:
        """Start it, so that the first to ask needs not wait; whoever asks meets what goes wrong."""
        if self._turn.acquire(blocking=False):
            try:
                with suppress(WorkerGone):
                    self._worker.start()
            finally:
                self._turn.release()

    def close(self) -> None:
        self._worker.kill()
        with self._turn:
            self._worker.close()

    def _answer(self, request: Mapping[str, Any], recordings: Sequence[bytes]) -> dict[str, Any]:
        self._worker.ask(request, recordings)
        _, body = self._worker.receive({ANSWER: _LONGEST_ANSWER})
        with suppress(ValueError):
            answer = json.loads(body)
            if isinstance(answer, dict) and "failed" not in answer:
                return cast("dict[str, Any]", answer)
        # It says what kind of error it was and no more; it stays in its place.
        raise _unavailable("failed")


def _unavailable(what: str) -> ExaminationUnavailable:
    return ExaminationUnavailable(
        f"an examiner {what}; nothing was enrolled, try again or ask the operator to look at it"
    )
