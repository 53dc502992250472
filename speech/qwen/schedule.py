"""Who gets the device next, so that no running stream falls silent because a newcomer arrived.

A stream that has begun to play has a deadline: the moment when what it was given is played out. One that can
still be met is protected; one that has been missed is not, as on a machine slower than speech nothing could
ever be done for anybody else. Pure arithmetic over a clock; knows nothing of tensors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

FRAME_S: Final = 0.08
FIRST_AUDIO_S: Final = 0.3  # by when a newcomer should be heard: its deadline until it plays
PIECES: Final = (1, 2, 4, 8)  # frames that the codec decodes at once: few sizes, as each is compiled
_TIGHT: Final = 0.9  # of real time that frames may take
_SMOOTHING: Final = 0.2


@dataclass(slots=True)
class Playback:
    """A listener's side of a stream, in seconds of one clock. missing: frames until its next chunk."""

    arrived: float
    began: float | None = None
    given_s: float = 0.0
    missing: int = 1
    underruns: int = 0

    @property
    def deadline(self) -> float:
        return self.arrived + FIRST_AUDIO_S if self.began is None else self.began + self.given_s

    def gave(self, seconds: float, now: float) -> None:
        if self.began is None:
            self.began = now
        elif now > self.deadline:
            self.underruns += 1
            self.began = now - self.given_s  # the listener waited; the clock starts again
        self.given_s += seconds

    def protected(self, now: float) -> bool:
        return self.began is not None and self.deadline > now


@dataclass(slots=True)
class Costs:
    """How long things took lately, seconds: a frame by rows, a prefill chunk, the codec for one stream's chunk."""

    frame: dict[int, float] = field(default_factory=dict)
    prefill: float = 0.0
    codec: float = 0.0

    def framed(self, rows: int, seconds: float) -> None:
        self.frame[rows] = _smooth(self.frame.get(rows, 0.0), seconds)

    def prefilled(self, seconds: float) -> None:
        self.prefill = _smooth(self.prefill, seconds)

    def decoded(self, seconds: float) -> None:
        self.codec = _smooth(self.codec, seconds)

    def frame_at(self, rows: int) -> float:
        """For a number of rows never seen: that of the nearest smaller one."""
        known = [seen for seen in self.frame if seen <= rows]
        return self.frame[max(known)] if known else 0.0


def may_prefill(running: Iterable[Playback], costs: Costs, rows: int, now: float) -> bool:
    """Whether every protected stream can wait for a prefill chunk, and then for the frames of its next chunk."""
    listeners = list(running)
    # All chunks may fall due in the same turn.
    wait, frame = costs.prefill + costs.codec * len(listeners), costs.frame_at(rows)
    return all(one.deadline - now > wait + one.missing * frame for one in listeners if one.protected(now))


def may_admit(running: Iterable[Playback], costs: Costs, rows_after: int, now: float) -> bool:
    """Whether frames will still keep up with the protected streams when one more slot is taken."""
    keeps_up = costs.frame_at(rows_after) <= _TIGHT * FRAME_S
    return keeps_up or not any(one.protected(now) for one in running)


def chunk_frames(given: int) -> int:
    """Frames of the next chunk after `given` frames: 1, 1, 2, 4, then 8; never more than the listener has had.

    A function of the place in the stream alone: the same request gives the same chunks, whatever else runs.
    """
    return largest_piece(max(1, given))


def largest_piece(frames: int) -> int:
    """The largest of `PIECES` that is no longer; 0 where there is none."""
    return max((piece for piece in PIECES if piece <= frames), default=0)


def _smooth(old: float, new: float) -> float:
    return new if old == 0.0 else (1 - _SMOOTHING) * old + _SMOOTHING * new
