"""Putting the mark in: each bin's magnitude goes up or down by a fixed gain, its phase stays.

Works on chunks of any size; chunk by chunk gives what the whole file gives. It looks `LOOKAHEAD` samples (32 ms)
ahead, so a chunk comes out that much later than it went in. Silence stays silent: there is nothing to turn up.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from provenance.audio import Samples
from provenance.keyed.pattern import BINS, FIRST_BIN, HOP, PERIOD, WINDOW, Pattern

LOOKAHEAD: Final = WINDOW - HOP  # samples at 24 kHz
# Analysis and synthesis windows multiply to Hann, which at three quarters' overlap adds up to two.
_WINDOW: Final = np.sqrt(np.hanning(WINDOW + 1)[:-1]).astype(np.float32)
_OVERLAP_GAIN: Final = 2.0


class Embedder:
    """Marks one clip with one tag. Not thread-safe; one per clip."""

    def __init__(self, pattern: Pattern, tag: int) -> None:
        self._gains = pattern.gains(tag)
        self._frame = 0
        self._waiting: Samples = np.zeros(LOOKAHEAD, np.float32)
        self._sum: Samples = np.zeros(LOOKAHEAD, np.float32)
        self._owed = 0  # samples taken in and not yet given out
        self._lead = LOOKAHEAD  # of the padding in front, still to be dropped

    def feed(self, chunk: Samples) -> Samples:
        """chunk: float32[n], mono, 24 kHz. Returns what is ready: all but the last `LOOKAHEAD` samples at most."""
        self._owed += chunk.size
        return self._given(self._advance(chunk))

    def flush(self) -> Samples:
        """The rest. The embedder is used up."""
        return self._given(self._advance(np.zeros(WINDOW, np.float32)))

    def _given(self, ready: Samples) -> Samples:
        dropped = min(self._lead, ready.size)
        self._lead -= dropped
        ready = ready[dropped:][: self._owed]
        self._owed -= ready.size
        return ready

    def _advance(self, chunk: Samples) -> Samples:
        waiting = np.concatenate([self._waiting, chunk])
        count = max(0, (waiting.size - WINDOW) // HOP + 1)
        self._waiting = waiting[count * HOP :]
        if not count:
            return np.zeros(0, np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(waiting, WINDOW)[: count * HOP : HOP]
        spectra = np.fft.rfft(frames * _WINDOW, axis=1)
        at = (self._frame + np.arange(count)) % PERIOD
        spectra[:, FIRST_BIN : FIRST_BIN + BINS] *= self._gains[at]
        marked = np.fft.irfft(spectra, axis=1).astype(np.float32) * (_WINDOW / _OVERLAP_GAIN)
        out = np.zeros(count * HOP + LOOKAHEAD, np.float32)
        out[:LOOKAHEAD] = self._sum
        for index, frame in enumerate(marked):
            out[index * HOP : index * HOP + WINDOW] += frame
        self._frame += count
        self._sum = out[count * HOP :]
        return out[: count * HOP]


def embed(samples: Samples, pattern: Pattern, tag: int) -> Samples:
    """Mark a whole clip. samples: float32[n], mono, 24 kHz; the clip keeps its length, and may pass ±1 by a little."""
    embedder = Embedder(pattern, tag)
    return np.concatenate([embedder.feed(samples), embedder.flush()])
