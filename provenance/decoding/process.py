"""One process that takes uploads apart, as its owner sees it: asked, bounded, and thrown away when in doubt.

It gets of the environment only what a Python needs to start. Whatever is not a well-formed answer in time ends it;
an upload that killed it is never tried again.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import IO, Any, Final, cast

import numpy as np

from provenance.audio import Limits, Recording
from provenance.decoding.budget import Budget
from provenance.decoding.look import Facts
from provenance.decoding.wire import DONE, FOUND, HEAD, LONGEST_JSON, LONGEST_SOUND, SOUND, Ask
from provenance.errors import AudioTooCostly, AudioTooLarge, AudioUnreadable, DecodingUnavailable

_INHERITED: Final = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV",
)  # fmt: skip
_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_AT_ONCE: Final = 1 << 20
# Exit statuses: nobody had asked for a while; an exception that nobody foresaw. A killed process has others.
_ENDED, _PYTHON_FAILED = 0, 1
_LAST_WORDS_S: Final = 1.0


class _Broken(Exception):
    """It died, closed its pipe, or answered what is no answer."""


class Ended(Exception):
    """It had ended of itself, since nobody had asked for a while; ask another one."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What an upload holds. recording: None where `refused` says why there is none."""

    facts: Facts
    recording: Recording | None
    refused: AudioUnreadable | AudioTooLarge | None


class DecodingProcess:
    """Not thread-safe: whoever holds it asks it. Once `spent`, it is closed and another one made."""

    def __init__(self, budget: Budget) -> None:
        self._budget: Final = budget
        self._uses = 0
        command = (
            sys.executable, "-P", "-m", "provenance.decoding.worker",
            str(budget.memory_bytes), str(budget.cpu_s), str(budget.idle_s),
        )  # fmt: skip
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        try:
            self._process: Final = subprocess.Popen(  # noqa: S603 - our own program, no shell, no caller's words
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env={**inherited, **_ONE_THREAD},
            )
        except OSError as exc:
            raise DecodingUnavailable("no process could be started to look at the file; try again") from exc
        for pipe in (self._process.stdin, self._process.stdout):
            os.set_blocking(cast("IO[bytes]", pipe).fileno(), False)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def spent(self) -> bool:
        return self._uses >= self._budget.uses or self._process.poll() is not None

    def look(self, data: bytes, sidecar: bytes | None, anchor: bytes, limits: Limits) -> Decoded:
        """Raises AudioTooCostly, DecodingUnavailable or Ended; then the process is gone."""
        self._uses += 1
        deadline = time.monotonic() + self._budget.wall_s
        ask = Ask(anchor.decode("ascii"), limits, len(data), None if sidecar is None else len(sidecar))
        try:
            for part in (ask.to_line(), data, sidecar or b""):
                self._write(part, deadline)
            return self._answer(limits, deadline)
        except (_Broken, OSError, ValueError, TypeError, KeyError) as exc:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0 if isinstance(exc, TimeoutError) else _LAST_WORDS_S)
            self.close()
            if self._process.returncode == _ENDED:
                raise Ended from exc
            if self._process.returncode == _PYTHON_FAILED:
                raise DecodingUnavailable("the file could not be looked at; tell the operator") from exc
            raise AudioTooCostly(
                "reading the file took more memory or time than an upload may take; hand in a shorter, plain one"
            ) from exc
        except BaseException:
            self.close()
            raise

    def wait(self, timeout_s: float) -> None:
        """Until it has ended of itself."""
        self._process.wait(timeout_s)

    def close(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                cast("IO[bytes]", pipe).close()
        self._process.wait()

    def _answer(self, limits: Limits, deadline: float) -> Decoded:
        facts = Facts.from_json(json.loads(self._frame(deadline, {FOUND: LONGEST_JSON})[1]))
        sound, most = bytearray(), 4 * limits.max_frames
        while True:
            kind, body = self._frame(deadline, {SOUND: LONGEST_SOUND, DONE: LONGEST_JSON})
            if kind == DONE:
                told = json.loads(body)
                break
            sound += body
            if len(sound) > most:
                raise _Broken
        if told["refused"] is not None:
            return Decoded(facts, None, _refusal(*map(str, told["refused"])))
        return Decoded(facts, Recording(np.frombuffer(sound, "<f4"), int(told["sample_rate"])), None)

    def _frame(self, deadline: float, allowed: dict[bytes, int]) -> tuple[bytes, bytes]:
        kind, size = HEAD.unpack(self._read(HEAD.size, deadline))
        if size > allowed.get(kind, -1):
            raise _Broken
        return kind, self._read(size, deadline)

    def _read(self, size: int, deadline: float) -> bytes:
        descriptor, data = cast("IO[bytes]", self._process.stdout).fileno(), bytearray()
        while len(data) < size:
            _wait(descriptor, select.POLLIN, deadline)
            with contextlib.suppress(BlockingIOError):
                more = os.read(descriptor, min(size - len(data), _AT_ONCE))
                if not more:
                    raise _Broken
                data += more
        return bytes(data)

    def _write(self, data: bytes, deadline: float) -> None:
        descriptor, left = cast("IO[bytes]", self._process.stdin).fileno(), memoryview(data)
        while left:
            _wait(descriptor, select.POLLOUT, deadline)
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(descriptor, left[:_AT_ONCE]) :]


def _refusal(kind: str, code: str, message: str) -> AudioUnreadable | AudioTooLarge:
    return (
        AudioTooLarge(message, code=code)
        if kind == AudioTooLarge.__name__
        else AudioUnreadable(message, code=code)
    )


def _wait(descriptor: int, event: int, deadline: float) -> None:
    poll: Any = select.poll()
    poll.register(descriptor, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError
