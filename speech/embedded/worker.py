"""The program that holds eSpeak NG. Run as a script; only the standard library, so it starts in 20 ms.

eSpeak NG is global state: not thread-safe, and what it speaks depends on what it spoke before (flutter,
noise). So this process initialises it once, never speaks itself, and forks for every utterance: each is spoken
by a pristine copy (the same request gives the same samples, DESIGN I8), and a crash takes one utterance along.

Standard input: one JSON object a line; any line that comes while an utterance is spoken ends it. End of file,
and the parent's death, end the process. Standard output: frames as in `foundation.worker_process`, written out here:
`R` ready (JSON; null: it can't read its data), `A` audio (int16 little-endian, mono, at `sample_rate`), `E` end,
`X` failure (ASCII reason).
Texts are never logged and never stand in an argument list.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import struct
import sys
from typing import Any

_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_UTF8 = 1
_POS_CHARACTER = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_CHUNK_MS = 200
_PR_SET_PDEATHSIG = 1
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def main(library_path: str, data_path: str) -> None:
    parent = os.getppid()
    _die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold texts
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    espeak = ctypes.CDLL(library_path)
    espeak.espeak_Info.restype = ctypes.c_char_p
    sample_rate = espeak.espeak_Initialize(_SYNCHRONOUS, _CHUNK_MS, os.fsencode(data_path), _DONT_EXIT)
    if sample_rate <= 0:
        _send(b"R", b"null")
        return
    version = espeak.espeak_Info(None).decode("ascii", "replace")
    _send(b"R", json.dumps({"sample_rate": sample_rate, "version": version}).encode())
    for line in _lines():
        request = json.loads(line)
        if "say" in request:
            _speak_in_a_fork(espeak, request["say"])


def _speak_in_a_fork(espeak: ctypes.CDLL, say: dict[str, Any]) -> None:
    worker = os.getpid()
    child = os.fork()
    if child == 0:
        _die_with_parent(worker)
        reason = b"crash"
        with contextlib.suppress(BaseException):
            reason = _speak(espeak, say)
        os._exit(_REASONS.index(reason))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    reason = _REASONS[code] if 0 <= code < len(_REASONS) else b"crash"
    if reason == b"":
        _send(b"E", b"")
    else:
        _send(b"X", reason)


_REASONS = [b"", b"crash", b"voice", b"synthesis"]


def _speak(espeak: ctypes.CDLL, say: dict[str, Any]) -> bytes:
    def on_samples(samples: Any, count: int, _events: Any) -> int:
        if count > 0 and samples:
            _send(b"A", ctypes.string_at(samples, 2 * count))
        wanted = not select.select([0], [], [], 0)[0]
        return 0 if wanted else 1

    callback = _CALLBACK(on_samples)  # kept in a name: ctypes does not keep it alive
    espeak.espeak_SetSynthCallback(callback)
    if espeak.espeak_SetVoiceByName(say["voice"].encode("ascii")) != 0:
        return b"voice"
    for parameter, value in ((_RATE, say["rate"]), (_PITCH, say["pitch"]), (_RANGE, say["range"])):
        espeak.espeak_SetParameter(parameter, int(value), 0)
    text = say["text"].encode("utf-8") + b"\0"
    done = espeak.espeak_Synth(
        text, ctypes.c_size_t(len(text)), 0, _POS_CHARACTER, 0, _UTF8, None, None
    )  # no espeakSSML, no espeakPHONEMES: a text is a text
    return b"" if done == 0 else b"synthesis"


def _lines() -> Any:
    """Lines of standard input, unbuffered, so that `select` in a fork sees exactly what nobody has read."""
    pending = b""
    while True:
        while b"\n" not in pending:
            block = os.read(0, 65536)
            if not block:
                return
            pending += block
        line, pending = pending.split(b"\n", 1)
        yield line


def _send(kind: bytes, payload: bytes) -> None:
    view = memoryview(struct.pack(">cI", kind, len(payload)) + payload)
    while view:
        view = view[os.write(1, view) :]


def _die_with_parent(parent: int) -> None:
    """Be killed when the parent goes, however it goes (Linux; elsewhere end of file must do)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main(sys.argv[1], sys.argv[2])
