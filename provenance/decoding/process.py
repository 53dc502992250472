"""One process that takes uploads apart, as its owner sees it: asked, bounded, and thrown away when in doubt.

Whatever is not a well-formed answer ends it; an upload that killed it is never tried again.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from foundation.worker_process import ENDED, Patience, WorkerGone, WorkerProcess, WorkerStuck
from provenance.audio import Limits, Recording
from provenance.decoding.budget import Budget
from provenance.decoding.look import FileFacts
from provenance.decoding.wire import DONE, FOUND, LONGEST_JSON, LONGEST_SOUND, SOUND
from provenance.errors import AudioTooCostly, AudioTooLarge, AudioUnreadable, DecodingUnavailable

_PYTHON_FAILED: Final = 1  # exit status: an exception that nobody foresaw
_TOO_COSTLY: Final = (
    "reading the file took more memory or time than an upload may take; hand in a shorter, plain one"
)


class Ended(Exception):
    """It had ended of itself, since nobody had asked for a while; ask another one."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What an upload holds. recording: None where `refused` says why there is none."""

    facts: FileFacts
    recording: Recording | None
    refused: AudioUnreadable | AudioTooLarge | None


class DecodingProcess:
    """Not thread-safe: whoever holds it asks it. Once `spent`, it is closed and another one made."""

    def __init__(self, budget: Budget) -> None:
        """Raises DecodingUnavailable."""
        self._budget: Final = budget
        self._uses = 0
        # What it may allocate it bounds itself, once its libraries are loaded; its processor time the kernel, too.
        self._worker: Final = WorkerProcess(
            (sys.executable, "-P", "-m", "provenance.decoding.worker",
             str(budget.memory_bytes), str(budget.cpu_s)),
            Patience(2.0 * budget.cpu_s, budget.stall_s, budget.wall_s),
            idle_s=budget.idle_s,
        )  # fmt: skip
        try:
            self._worker.start()
        except WorkerGone as exc:
            raise DecodingUnavailable("no process could be started to look at the file; try again") from exc

    @property
    def pid(self) -> int | None:
        return self._worker.pid

    @property
    def spent(self) -> bool:
        return self._uses >= self._budget.uses or self._worker.pid is None

    def look(self, data: bytes, sidecar: bytes | None, anchor: bytes, limits: Limits) -> Decoded:
        """Raises AudioTooCostly, DecodingUnavailable or Ended; then the process is gone."""
        self._uses += 1
        request = {"anchor": anchor.decode("ascii"), "limits": asdict(limits)}
        try:
            self._worker.ask(request, (data,) if sidecar is None else (data, sidecar))
            return self._answer(limits)
        except WorkerStuck as exc:
            raise AudioTooCostly(_TOO_COSTLY) from exc
        except WorkerGone as exc:
            if exc.args == (ENDED,):
                raise Ended from exc
            if exc.args == (_PYTHON_FAILED,):
                raise DecodingUnavailable("the file could not be looked at; tell the operator") from exc
            raise AudioTooCostly(_TOO_COSTLY) from exc
        except (ValueError, TypeError, KeyError) as exc:
            self.close()
            raise AudioTooCostly(_TOO_COSTLY) from exc
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._worker.close()

    def _answer(self, limits: Limits) -> Decoded:
        facts = FileFacts.from_json(json.loads(self._worker.receive({FOUND: LONGEST_JSON})[1]))
        sound, most = bytearray(), 4 * limits.max_frames
        while True:
            kind, body = self._worker.receive({SOUND: LONGEST_SOUND, DONE: LONGEST_JSON})
            if kind == DONE:
                told = json.loads(body)
                break
            sound += body
            if len(sound) > most:
                raise ValueError("more sound than a file may hold")
        if told["refused"] is not None:
            return Decoded(facts, None, _refusal(*map(str, told["refused"])))
        return Decoded(facts, Recording(np.frombuffer(sound, "<f4"), int(told["sample_rate"])), None)


def _refusal(kind: str, code: str, message: str) -> AudioUnreadable | AudioTooLarge:
    return (
        AudioTooLarge(message, code=code)
        if kind == AudioTooLarge.__name__
        else AudioUnreadable(message, code=code)
    )
