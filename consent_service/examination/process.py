"""A program that examines recordings: started on first use, bounded in time and memory, replaced when it dies.

One JSON line and then the recordings go to its standard input; one JSON line comes back. Nothing is written to a
disk, no recording stands in an argument list, and of the environment it gets only what a Python needs to start: no
secret of ours. Whatever is not an answer is ExaminationUnavailable, never a "yes" (DESIGN I2).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from consent_service.errors import ExaminationUnavailable

_LONGEST_ANSWER: Final = 64 * 1024
_INHERITED: Final = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV",
)  # fmt: skip
# Two recordings at a time do not pay for a thread pool in each library.
_ENVIRONMENT: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
IDLE_ENV: Final = "VOUCH_EXAMINER_IDLE_S"


class _Gone(Exception):
    """The process died or closed its pipe."""


class ExaminerProcess:
    """One process. Thread-safe: callers take turns. It never outlives this one by more than its present work."""

    def __init__(self, command: Sequence[str], *, timeout_s: float, memory_mb: int, idle_s: float) -> None:
        self._command: Final = tuple(command)
        self._timeout_s: Final = timeout_s
        self._memory: Final = memory_mb * 1024 * 1024
        self._idle_s: Final = idle_s
        self._turn: Final = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def ask(self, request: Mapping[str, Any], recordings: Sequence[bytes]) -> dict[str, Any]:
        """Its answer. Raises ExaminationUnavailable when it can't be started, dies twice, or is not done in time."""
        deadline = time.monotonic() + self._timeout_s
        if not self._turn.acquire(timeout=self._timeout_s):
            raise _unavailable("is busy")
        try:
            # A process that ended while nobody asked (idle, killed) is replaced once, and asked again.
            for last in (False, True):
                try:
                    return self._answer(request, recordings, deadline)
                except TimeoutError:
                    self._stop()
                    raise _unavailable("did not answer in time") from None
                except (_Gone, OSError):
                    self._stop()
                    if last:
                        raise _unavailable("does not run") from None
        finally:
            self._turn.release()
        raise AssertionError("unreachable")  # pragma: no cover

    def close(self) -> None:
        with self._turn:
            self._stop()

    def _answer(
        self, request: Mapping[str, Any], recordings: Sequence[bytes], deadline: float
    ) -> dict[str, Any]:
        process = self._running()
        head = json.dumps({**request, "sizes": [len(one) for one in recordings]}).encode() + b"\n"
        for part in (head, *recordings):
            _write(process, part, deadline)
        try:
            answer = json.loads(_read_line(process, deadline))
        except ValueError:
            raise _Gone from None
        if not isinstance(answer, dict) or "failed" in answer:
            # It says what kind of error it was and no more; it stays in its place.
            raise _unavailable("failed")
        return cast("dict[str, Any]", answer)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._stop()
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        process = subprocess.Popen(  # noqa: S603 - the operator's command, no shell, no caller's words
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**inherited, **_ENVIRONMENT, IDLE_ENV: str(self._idle_s)},
        )
        self._process = process
        if sys.platform == "linux":
            # Before it has read anything: no core dump of a recording, and an end to what it may allocate.
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
                resource.prlimit(process.pid, resource.RLIMIT_DATA, (self._memory, self._memory))
        for pipe in (process.stdin, process.stdout):
            os.set_blocking(cast("Any", pipe).fileno(), False)
        return process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                cast("Any", pipe).close()
        process.wait()


def _write(process: subprocess.Popen[bytes], data: bytes, deadline: float) -> None:
    descriptor, left = cast("Any", process.stdin).fileno(), memoryview(data)
    while left:
        _wait(descriptor, select.POLLOUT, deadline)
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            continue
        except BrokenPipeError:
            raise _Gone from None


def _read_line(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    descriptor, line = cast("Any", process.stdout).fileno(), b""
    while not line.endswith(b"\n"):
        _wait(descriptor, select.POLLIN, deadline)
        try:
            more = os.read(descriptor, _LONGEST_ANSWER)
        except BlockingIOError:
            continue
        line += more
        if not more or len(line) > _LONGEST_ANSWER:
            raise _Gone
    return line


def _wait(descriptor: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError


def _unavailable(what: str) -> ExaminationUnavailable:
    return ExaminationUnavailable(
        f"an examiner {what}; nothing was enrolled, try again or ask the operator to look at it"
    )
