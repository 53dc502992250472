"""One bounded worker process: what holds a model, reads strangers' bytes or calls native code runs beside us.

A request is one line of JSON and the parts whose sizes it names. What comes back are frames: a byte of kind, a uint32
length (big-endian), a body; the first is READY. Nothing is written to a disk, stands in an argument list or is
unpickled, and of the environment the worker gets only what a Python needs to start.

Patience follows progress, not the clock, as a machine may be slow. A worker is given up when neither its pipe nor the
processor time of its processes moves for `stall_s`, or when it took more of that time than `cpu_s`; `wall_s` is the
last resort. Its start has a patience of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

READY: Final = b"R"
HEAD: Final = struct.Struct(">cI")
ENDED: Final = 0  # exit status of a worker that nobody had asked for a while
LONGEST_LINE: Final = 64 * 1024
_IDLE_ENV: Final = "VOUCH_WORKER_IDLE_S"
_INHERITED: Final = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
]
# One thing at a time does not pay for a pool of threads in each library.
_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
_LOOKS: Final = (
    20  # without progress are a stall: counted, since a machine that stood still is not the worker's fault
)
_LAST_WORDS_S: Final = 10.0
_AT_ONCE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds. cpu_s: of processor time; stall_s: without progress; wall_s: of waiting in all."""

    cpu_s: float = 120.0
    stall_s: float = 30.0
    wall_s: float = 1800.0


class WorkerGone(Exception):
    """It ended, or sent what is no answer. The argument: its exit status; None when it could not be started."""


class WorkerStuck(WorkerGone):
    """It made no progress, or used up its time, and was killed."""


class WorkerProcess:
    """Started by the first request, and anew by the one after its end. For one thread at a time; `kill` is for any.
    `start`, `ask`, `send` and `receive` raise WorkerGone, and then there is no process."""

    def __init__(
        self, command: Sequence[str], answer: Patience, *, start: Patience | None = None,
        memory_bytes: int | None = None, idle_s: float = 300.0,
    ) -> None:  # fmt: skip
        """memory_bytes: that it may allocate, from the first moment on. idle_s: how long it waits for a request."""
        self._command, self._memory, self._idle_s = tuple(command), memory_bytes, idle_s
        self._start, self._answer = start or Patience(cpu_s=300.0), answer
        self._process: Any = None
        self._ready = b""

    @property
    def pid(self) -> int | None:
        """None when it does not run."""
        process = self._process
        return None if process is None or process.poll() is not None else int(process.pid)

    def start(self) -> bytes:
        """Wait until it is ready, unless it is. Returns what it said then."""
        if self._process is not None:
            return self._ready
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        try:
            self._process = process = subprocess.Popen(  # noqa: S603 - no shell, no caller's words
                self._command, bufsize=0, env={**environment, **_ONE_THREAD, _IDLE_ENV: str(self._idle_s)},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0,
            )  # fmt: skip
        except OSError as exc:
            raise WorkerGone(None) from exc
        if sys.platform == "linux":
            # Before it has read anything: no core dump of a recording, and an end to what it may allocate.
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
                if self._memory is not None:
                    resource.prlimit(process.pid, resource.RLIMIT_DATA, (self._memory, self._memory))
        os.set_blocking(self._process.stdin.fileno(), False)
        self._begin(self._start)
        self._ready = self.receive({READY: LONGEST_LINE})[1]
        return self._ready

    def ask(self, request: Mapping[str, Any], parts: Sequence[bytes] = ()) -> None:
        """Begin an answer, which `receive` gives frame by frame."""
        self.start()
        self._begin(self._answer)
        self.send({**request, "sizes": [len(part) for part in parts]}, parts)

    def send(self, message: Mapping[str, Any], parts: Sequence[bytes] = ()) -> None:
        """A line and its parts, also into an answer."""
        for data in (json.dumps(message).encode() + b"\n", *parts):
            left = memoryview(data)
            while left:
                left = left[self._move(os.write, left[:_AT_ONCE]) :]

    def receive(self, longest: Mapping[bytes, int]) -> tuple[bytes, bytes]:
        """A frame's kind and body. longest: body, in bytes, of each kind that may come."""
        kind, size = HEAD.unpack(self._read(HEAD.size))
        if size > longest.get(kind, -1):
            raise WorkerGone(self.close())
        return kind, self._read(size)

    def kill(self) -> None:
        """End it; whoever waits for an answer learns that it is gone."""
        if (process := self._process) is not None:
            _kill(process)

    def close(self) -> int | None:
        """Idempotent. Returns the exit status, where there was a process: negative for a signal."""
        process, self._process = self._process, None
        if process is None:
            return None
        _kill(process)
        process.stdin.close()
        process.stdout.close()
        return int(process.wait())

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            data += self._move(os.read, min(size - len(data), _AT_ONCE))
        return bytes(data)

    def _begin(self, patience: Patience) -> None:
        self._patience, self._waited_s, self._cpu_before = patience, 0.0, -1.0

    def _move(self, operation: Callable[..., Any], argument: object) -> Any:
        """Read from the worker's pipe or write to it, once that can be done."""
        process, patience, poll = self._process, self._patience, select.poll()
        pipe = process.stdin if operation is os.write else process.stdout
        poll.register(pipe, select.POLLOUT if operation is os.write else select.POLLIN)
        waited_s, begun, quiet, last = self._waited_s, time.monotonic(), 0, -1.0
        while True:
            usable = poll.poll(1000 * patience.stall_s / _LOOKS)
            self._waited_s = waited_s + time.monotonic() - begun
            if usable and self._waited_s <= patience.wall_s:
                with contextlib.suppress(BrokenPipeError):
                    if moved := operation(pipe.fileno(), argument):
                        return moved
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LAST_WORDS_S)
                raise WorkerGone(self.close())
            used = _cpu_s(process.pid)
            quiet, last = quiet + 1 if used == last else 0, used
            self._cpu_before = used if self._cpu_before < 0.0 else self._cpu_before
            spent_s = used - self._cpu_before
            if quiet == _LOOKS or spent_s > patience.cpu_s or self._waited_s > patience.wall_s:
                raise WorkerStuck(self.close())


def _kill(process: Any) -> None:
    """With all that it started: they share a process group of their own."""
    if process.returncode is None:  # not waited for yet, so the number is still its own
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _cpu_s(pid: int) -> float:
    """Processor time of a process and of all that it started, those that have ended included."""
    import psutil  # the worker's side of this module does without

    used = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        for each in ((root := psutil.Process(pid)), *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                used += sum(each.cpu_times()[:4])
    return used


# The worker's side: `for request, parts in requests(): answer(descriptor, …)`
def answers() -> int:
    """The descriptor for frames; what libraries print goes to standard error from now on."""
    descriptor = os.dup(1)
    os.dup2(2, 1)
    return descriptor


def answer(descriptor: int, kind: bytes, body: bytes = b"") -> None:
    left = memoryview(HEAD.pack(kind, len(body)) + body)
    while left:
        left = left[os.write(descriptor, left) :]


def requests() -> Iterator[tuple[dict[str, Any], list[bytes]]]:
    """Each request and its parts, until standard input ends or nobody has asked for a while."""
    idle_s = float(os.environ.get(_IDLE_ENV, "300"))
    with os.fdopen(0, "rb", closefd=False) as pipe:  # nothing follows a request until it is answered
        while select.select([pipe], [], [], idle_s)[0] and (line := pipe.readline(LONGEST_LINE)).endswith(
            b"\n"
        ):
            request = json.loads(line)
            parts = [pipe.read(size) for size in request["sizes"]]
            if [len(part) for part in parts] != request.pop("sizes"):
                return  # its owner died
            yield request, parts
