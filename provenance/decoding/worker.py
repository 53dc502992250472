"""The program that takes uploads apart, one after the other, and knows nothing that is worth stealing.

    python -P -m provenance.decoding.worker MEMORY_BYTES CPU_SECONDS IDLE_SECONDS

Before it reads a byte it gives up what it will not need: core dumps, files, sockets (no descriptor can be opened any
more), memory and time beyond its budget. Runs until its input ends or nobody has asked for a while.
"""

from __future__ import annotations

import math
import os
import resource
import select
import sys
from functools import lru_cache

from provenance.audio import Samples
from provenance.decoding.look import read_facts
from provenance.decoding.pcm import decode_blocks
from provenance.decoding.rehearsal import rehearse
from provenance.decoding.wire import DONE, FOUND, HEAD, LONGEST_ASK, OUT_OF_MEMORY, SOUND, Ask, json_frame
from provenance.errors import AudioTooLarge, AudioUnreadable
from provenance.trust import TrustContext

_trusting = lru_cache(maxsize=4)(TrustContext)


def main(memory_bytes: int, cpu_s: int, idle_s: float) -> None:
    answers = os.dup(1)
    os.dup2(2, 1)  # libraries print; standard output belongs to the answers
    rehearse()
    _confine(memory_bytes)
    while select.select([0], [], [], idle_s)[0]:
        line = _read_line()
        if not line:
            return
        _allow(cpu_s)
        try:
            ask = Ask.from_line(line)
            file = _read(ask.file)
            _answer(ask, file, None if ask.sidecar is None else _read(ask.sidecar), answers)
        except MemoryError:
            raise SystemExit(OUT_OF_MEMORY) from None


def _confine(memory_bytes: int) -> None:
    """What was opened stays open; nothing else can be."""
    descriptors = 1 + max(n for n in range(64) if _is_open(n))
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: descriptors,
        resource.RLIMIT_DATA: memory_bytes,
    }
    for limit, most in wanted.items():
        hard = resource.getrlimit(limit)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (bound, bound))


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _allow(cpu_s: int) -> None:
    """So much processor time from now on; whoever takes more is killed by the kernel."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime) + cpu_s
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(
        resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    )


def _answer(ask: Ask, file: bytes, sidecar: bytes | None, answers: int) -> None:
    facts = read_facts(file, sidecar, _trusting(ask.anchor.encode("ascii")))
    _write(answers, json_frame(FOUND, facts.to_json()))
    told: dict[str, object] = {"sample_rate": 0, "refused": None}
    try:
        for told["sample_rate"], block in decode_blocks(file, ask.limits):
            _write(answers, _sound_frame(block))
    except (AudioUnreadable, AudioTooLarge) as exc:
        told["refused"] = [type(exc).__name__, exc.code, exc.message]
    _write(answers, json_frame(DONE, told))


def _sound_frame(block: Samples) -> bytes:
    raw = block.astype("<f4", copy=False).tobytes()
    return HEAD.pack(SOUND, len(raw)) + raw


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _read_line() -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        # Byte by byte: what follows the line is an upload, and nothing of it may be read ahead.
        more = os.read(0, 1)
        if not more or len(line) > LONGEST_ASK:
            return b""
        line += more
    return bytes(line)


def _read(size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        more = os.read(0, min(size - len(data), 1 << 20))
        if not more:
            raise SystemExit(0)
        data += more
    return bytes(data)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
