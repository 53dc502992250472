"""The program that takes uploads apart, one after the other, and knows nothing that is worth stealing.

    python -P -m provenance.decoding.worker MEMORY_BYTES CPU_SECONDS

Before it reads a byte it gives up what it will not need: core dumps, files, sockets (no descriptor can be opened any
more), memory and time beyond its budget. Runs until its input ends or nobody has asked for a while.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from foundation.worker_process import READY, answer, answers, requests
from provenance.audio import Limits
from provenance.decoding.look import read_facts
from provenance.decoding.pcm import decode_blocks
from provenance.decoding.rehearsal import rehearse
from provenance.decoding.wire import DONE, FOUND, LONGEST_JSON, OUT_OF_MEMORY, SOUND
from provenance.errors import AudioTooLarge, AudioUnreadable
from provenance.trust import TrustContext

_trusting = lru_cache(maxsize=4)(TrustContext)


def main(memory_bytes: int, cpu_s: int) -> None:
    descriptor = answers()
    rehearse()
    _confine(memory_bytes)
    _allow(cpu_s)
    answer(descriptor, READY)
    try:
        for request, (file, *sidecar) in requests():
            _look(request, file, sidecar[0] if sidecar else None, descriptor)
            _allow(cpu_s)
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


def _look(request: dict[str, Any], file: bytes, sidecar: bytes | None, descriptor: int) -> None:
    facts = read_facts(file, sidecar, _trusting(request["anchor"].encode("ascii")))
    _answer(descriptor, FOUND, facts.to_json())
    told: dict[str, object] = {"sample_rate": 0, "refused": None}
    try:
        for told["sample_rate"], block in decode_blocks(file, Limits(**request["limits"])):
            answer(descriptor, SOUND, block.astype("<f4", copy=False).tobytes())
    except (AudioUnreadable, AudioTooLarge) as exc:
        told["refused"] = [type(exc).__name__, exc.code, exc.message]
    _answer(descriptor, DONE, told)


def _answer(descriptor: int, kind: bytes, body: Mapping[str, Any]) -> None:
    raw = json.dumps(body).encode()
    if len(raw) > LONGEST_JSON:
        raise ValueError("longer than a frame may be")
    answer(descriptor, kind, raw)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
