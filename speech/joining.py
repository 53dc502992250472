"""Segments into one piece of sound: silence trimmed at their ends, pauses as given, seams without clicks.

Streaming: what is kept leaves at once, but for the last 10 ms, which may still have to be faded out, and up to
half a second of silence, which may turn out to be the end of the segment. The samples that come out depend on
the samples that go in and never on how they were cut into chunks.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from speech.engine import Samples

GATE: Final = 10 ** (-50 / 20)  # root mean square of a block below which it is silence: −50 dBFS
BLOCK_S: Final = 0.010
MARGIN_BEFORE_S: Final = 0.040  # kept of the silence at the ends: soft consonants begin and end in it
MARGIN_AFTER_S: Final = 0.080
LONGEST_HOLD_S: Final = 0.500
FADE_IN_S: Final = 0.005
FADE_OUT_S: Final = 0.010

_NOTHING: Final[Samples] = np.zeros(0, dtype=np.float32)


class Joiner:
    """Of one utterance. Any number of `feed`, then `end_segment`, for each segment; `finish` at the end."""

    def __init__(self, sample_rate: int, *, gate: float = GATE) -> None:
        self._gate = gate
        self._rate = sample_rate
        self._block = max(1, round(BLOCK_S * sample_rate))
        self._before = round(MARGIN_BEFORE_S / BLOCK_S) * self._block
        self._after = round(MARGIN_AFTER_S / BLOCK_S) * self._block
        self._hold = round(LONGEST_HOLD_S / BLOCK_S) * self._block
        self._fade_in = _ramp(round(FADE_IN_S * sample_rate))
        self._fade_out = _ramp(min(self._block, round(FADE_OUT_S * sample_rate)))[::-1]
        self._finished = False
        self._rest = _NOTHING  # less than a block
        self._held = _NOTHING  # before speech: the margin; after it: silence, or the last block
        self._silent = 0  # samples since the last block of speech
        self._spoken = False

    def feed(self, samples: Samples) -> Samples:
        """float32[n] of the current segment, any n. Returns what may leave already, often less or nothing."""
        self._refuse_if_finished()
        whole = np.concatenate((self._rest, samples)) if self._rest.size else samples
        blocks = whole.size // self._block
        self._rest = whole[blocks * self._block :]
        return self._take(whole[: blocks * self._block])

    def end_segment(self, pause_s: float = 0.0) -> Samples:
        """The segment is complete: its end, trimmed and faded, and `pause_s` of silence."""
        self._refuse_if_finished()
        rest, self._rest = self._rest, _NOTHING
        out = self._take(rest)
        end, leaked = self._end()
        pause = np.zeros(max(0, round(pause_s * self._rate) - leaked), dtype=np.float32)
        self._held, self._silent, self._spoken = _NOTHING, 0, False
        return np.concatenate((out, end, pause))

    def finish(self) -> Samples:
        """No more segments. What is left of one that was not ended; afterwards nothing may be fed."""
        out = self.end_segment()
        self._finished = True
        return out

    def _take(self, blocks: Samples) -> Samples:
        """Whole blocks, or the last, shorter one of a segment."""
        if blocks.size == 0:
            return _NOTHING
        loud = self._loud(blocks)
        held = np.concatenate((self._held, blocks))
        if loud.size == 0:
            self._silent += blocks.size
        else:
            if not self._spoken:
                first = self._held.size + int(loud[0]) * self._block
                held = self._faded_in(held[max(0, first - self._before) :])
            self._spoken = True
            self._silent = blocks.size - min(blocks.size, (int(loud[-1]) + 1) * self._block)
        if not self._spoken:
            self._held = held[-self._before :]
            return _NOTHING
        kept_back = min(held.size, max(self._block, min(self._hold, self._silent)))
        self._held = held[held.size - kept_back :]
        return held[: held.size - kept_back]

    def _end(self) -> tuple[Samples, int]:
        """What is left of the segment, and how much silence over the margin has already left."""
        if not self._spoken:
            return _NOTHING, 0
        surplus = max(0, self._silent - self._after)
        end = self._held[: max(0, self._held.size - surplus)].copy()
        fade = self._fade_out[-end.size :] if end.size else self._fade_out[:0]
        end[end.size - fade.size :] *= fade
        return end, max(0, surplus - self._held.size)

    def _loud(self, blocks: Samples) -> npt.NDArray[np.intp]:
        """Indexes of the blocks above the gate."""
        whole = blocks.size // self._block * self._block
        rows = blocks[:whole].reshape(-1, self._block)
        energy = np.einsum("ij,ij->i", rows, rows)
        if whole < blocks.size:
            last = blocks[whole:]
            energy = np.append(energy, last.dot(last) * self._block / last.size)
        return np.flatnonzero(energy > self._gate**2 * self._block)

    def _faded_in(self, samples: Samples) -> Samples:
        faded = samples.copy()
        length = min(faded.size, self._fade_in.size)
        faded[:length] *= self._fade_in[:length]
        return faded

    def _refuse_if_finished(self) -> None:
        if self._finished:
            raise ValueError("the utterance was finished; make a new Joiner")


def _ramp(length: int) -> Samples:
    """0 → 1 along a raised cosine."""
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / max(1, length))).astype(np.float32)
