"""An engine under load: many streams at once, each heard as a player would hear it.

A player starts at the first chunk and plays at the speed of speech; a chunk that comes when all before it have
been played is an underrun. Ours and the peer take turns within one run, so that whatever else the machine does
meets both alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeAlias

from speech.engine import SAMPLE_RATE, SpeechEngine, SpeechRequest, SpeechStream

FRAME: Final = SAMPLE_RATE * 2 // 25  # samples of one codec frame: 12.5 frames a second


@dataclass(frozen=True, slots=True)
class Turn:
    """A batch of utterances, all asked for at once. first_audio_s: one each. underruns: streams that had one."""

    frames: float
    seconds: float
    first_audio_s: tuple[float, ...]
    underruns: int


Work: TypeAlias = Callable[[], Turn]


def speak_all(engine: SpeechEngine, requests: Sequence[SpeechRequest]) -> Turn:
    with ThreadPoolExecutor(len(requests), thread_name_prefix="listener") as listeners:
        began = time.perf_counter()
        streams = [engine.start(request) for request in requests]
        heard = list(listeners.map(_hear, streams))
        seconds = time.perf_counter() - began
    return Turn(
        frames=sum(one.samples for one in heard) / FRAME,
        seconds=seconds,
        first_audio_s=tuple(one.first - began for one in heard),
        underruns=sum(one.ran_dry for one in heard),
    )


def take_turns(works: Sequence[Work], seconds: float) -> list[Turn]:
    """One turn of each unmeasured, then in turns for `seconds` in all, at least one each; the sums."""
    for work in works:
        work()
    taken: list[list[Turn]] = [[] for _ in works]
    until = time.perf_counter() + seconds
    while True:
        for turns, work in zip(taken, works, strict=True):
            turns.append(work())
        if time.perf_counter() >= until:
            return [_sum(turns) for turns in taken]


@dataclass(frozen=True, slots=True)
class _Heard:
    first: float
    samples: int
    ran_dry: bool


def _hear(stream: SpeechStream) -> _Heard:
    first, samples, ran_dry = 0.0, 0, False
    for chunk in stream:
        now = time.perf_counter()
        if not samples:
            first = now
        elif now > first + samples / SAMPLE_RATE:
            ran_dry = True
        samples += chunk.size
    return _Heard(first, samples, ran_dry)


def _sum(turns: Sequence[Turn]) -> Turn:
    return Turn(
        frames=sum(turn.frames for turn in turns),
        seconds=sum(turn.seconds for turn in turns),
        first_audio_s=tuple(first for turn in turns for first in turn.first_audio_s),
        underruns=sum(turn.underruns for turn in turns),
    )
