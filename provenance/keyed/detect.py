"""Finding a keyed pattern again, and reading its tag.

The score map is folded to one period under every hypothesis of time and frequency scale, and correlated with the
synchronisation signs at all 256 offsets at once by FFT. The best hypotheses are refined, and both symbols read there.

Each statistic z = Σ sign·score / √Σ score² is *self-normalised*: where the signs are random and independent of the
recording, it is sub-Gaussian whatever the recording is (Hoeffding 1963). The bound on false positives therefore holds
for any sound made without the key; `EVIDENCE` is set by it, not by the clips that we had.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from provenance.audio import Samples
from provenance.keyed.pattern import (
    CELL_BINS,
    CELL_FRAMES,
    COLUMNS,
    FIRST_BIN,
    HOP,
    PERIOD,
    ROW_GAINS_DB,
    ROWS,
    SAMPLE_RATE,
    SYMBOLS,
    WORDS,
    Floats,
    Pattern,
)
from provenance.keyed.score import EDGE, score_map

MAX_SCALE: Final = 0.056  # of time and of frequency, either way
_STEP: Final = 0.004  # a step off, a pattern has drifted by half a cell after four periods
_FINE: Final = (-0.002, 0.0, 0.002)
_REFINED: Final = 24  # hypotheses looked at more closely
_READ: Final = 6  # of those, how many have their symbols read
WINDOW_SECONDS: Final = 4 * PERIOD * HOP / SAMPLE_RATE  # 10.9 s: longer, and a scale would need finer steps
_LEAST_FRAMES: Final = 64  # 0.7 s
# √(z_sync² + z_a² + z_b²). With 841 scales × 256 offsets × 4,096² words tried, chance reaches it once in a million.
EVIDENCE: Final = 9.5
# A matched filter: a row counts as much as it was turned.
_ROW_WEIGHTS: Final = ROW_GAINS_DB / ROW_GAINS_DB.mean()
SURE: Final = 0.999  # that both words read are the ones put in, given that the mark is there


@dataclass(frozen=True, slots=True)
class MarkReading:
    """A mark that was found. It names a candidate, not an origin."""

    tag: int
    evidence: float  # ≥ EVIDENCE
    certainty: float  # 0…1: of the tag, given that the mark is there
    time_scale: float  # pattern frames per frame of the recording: 1.05 was played 5 % slower than made
    frequency_scale: float

    @property
    def sure(self) -> bool:
        return self.certainty >= SURE


class Reader:
    """Reads marks of one key. Holds 35 MB of code words; thread-safe.

    least: the evidence that a reading must have; lower only to measure how high chance comes.
    """

    def __init__(self, pattern: Pattern, *, least: float = EVIDENCE) -> None:
        self._pattern = pattern
        self._least = least
        signs = np.zeros(ROWS * COLUMNS, np.float32)
        signs[pattern.sync_cells] = pattern.sync_signs
        template = signs.reshape(ROWS, COLUMNS).repeat(CELL_FRAMES, axis=1).T
        self._template = np.conj(np.fft.rfft(template, axis=0))
        self._codes = [pattern.code(symbol) for symbol in range(SYMBOLS)]

    def read(self, samples: Samples) -> MarkReading | None:
        """samples: float32[n], mono, 24 kHz; of a long recording, give windows of `WINDOW_SECONDS`."""
        return self.read_scores(score_map(samples))

    def read_scores(self, scores: Floats) -> MarkReading | None:
        """The same, from a score map, which serves every key."""
        if len(scores) < _LEAST_FRAMES:
            return None
        # Most recordings were not stretched: try that first, and all else only when it fails.
        unscaled = self._best(scores, [(1.0, 1.0)])
        if unscaled is not None and unscaled.sure:
            return unscaled
        steps = np.arange(-MAX_SCALE, MAX_SCALE + _STEP / 2, _STEP)
        scaled = self._best(scores, [(1 + time, 1 + frequency) for frequency in steps for time in steps])
        return max(filter(None, (unscaled, scaled)), key=lambda found: found.evidence, default=None)

    def _best(self, scores: Floats, scales: list[tuple[float, float]]) -> MarkReading | None:
        coarse = sorted(
            ((self._synchronise(folded)[0], scale) for scale, folded in _foldings(scores, scales)),
            reverse=True,
        )[:_REFINED]
        fine = [
            (time + dt, frequency + df) for _, (time, frequency) in coarse for df in _FINE for dt in _FINE
        ]
        aligned = sorted(
            ((*self._synchronise(folded), scale) for scale, folded in _foldings(scores, fine)), reverse=True
        )[:_READ]
        readings = [self._symbols(scores, offset, scale) for _, offset, scale in aligned]
        best = max(readings, key=lambda found: found.evidence)
        return best if best.evidence >= self._least else None

    def _synchronise(self, folded: Floats) -> tuple[float, int]:
        """(correlation in units of its own energy, the offset at which it is greatest)."""
        spectrum = np.fft.rfft(folded, axis=0)
        found = np.fft.irfft((spectrum * self._template).sum(axis=1), PERIOD)
        energy = math.sqrt(float(np.square(folded).sum())) or 1.0
        offset = int(found.argmax())
        return float(found[offset]) / energy, offset

    def _symbols(self, scores: Floats, offset: int, scale: tuple[float, float]) -> MarkReading:
        (_, folded), *_ = _foldings(scores, [scale])
        cells = np.roll(folded, -offset, axis=0).reshape(COLUMNS, CELL_FRAMES, ROWS).sum(axis=1).T.reshape(-1)
        pattern = self._pattern
        synchronised = _normalised(cells[pattern.sync_cells], pattern.sync_signs[None])[0]
        total, tag, certainty = synchronised**2, 0, 1.0
        for at, code in enumerate(self._codes):
            of = pattern.symbol_cells[at]
            fits = _normalised(cells[of], code)
            word = int(fits.argmax())
            # How strong a true word stands out is known from the synchronisation: a Bayesian reading needs no more.
            expected = max(synchronised, 0.0) * math.sqrt(of.size / pattern.sync_cells.size)
            certainty /= float(np.exp(expected * (fits - fits[word])).sum())
            total += max(float(fits[word]), 0.0) ** 2
            tag = tag * WORDS + word
        return MarkReading(tag, math.sqrt(total), certainty, *scale)


def _normalised(scores: Floats, signs: Floats) -> Floats:
    """float32[words]: each word's z (see above)."""
    energy = math.sqrt(float(np.square(scores).sum())) or 1.0
    fits: Floats = signs @ scores / energy
    return fits


def _foldings(
    scores: Floats, scales: list[tuple[float, float]]
) -> Iterator[tuple[tuple[float, float], Floats]]:
    """For each (time, frequency) scale, float32[PERIOD, ROWS]: the score map laid over one period of the pattern."""
    sums = np.concatenate([np.zeros((len(scores), 1), np.float32), np.cumsum(scores, axis=1)], axis=1)
    pooled_at, rows = math.nan, sums
    for time, frequency in scales:
        if frequency != pooled_at:
            pooled_at, rows = frequency, _pool(sums, frequency) * _ROW_WEIGHTS
        yield (time, frequency), _fold(rows, time)


def _pool(sums: Floats, frequency: float) -> Floats:
    """float32[frames, ROWS]: the scores of each row's bins, whose edges may fall between bins."""
    edges = (FIRST_BIN - 0.5 + np.arange(ROWS + 1) * CELL_BINS) * frequency - (FIRST_BIN - EDGE - 0.5)
    edges = np.clip(edges, 0, sums.shape[1] - 1)
    below = np.minimum(edges.astype(np.intp), sums.shape[1] - 2)
    share = (edges - below).astype(np.float32)
    at_edges = sums[:, below] * (1 - share) + sums[:, below + 1] * share
    rows: Floats = np.diff(at_edges, axis=1)
    return rows


def _fold(rows: Floats, time: float) -> Floats:
    """Resample to the pattern's frames, and add the periods up. Each row's mean is taken out: it carries no sign."""
    count = int((len(rows) - 1) * time) + 1
    at = np.minimum(np.arange(count) / time, len(rows) - 1)
    below = np.minimum(at.astype(np.intp), len(rows) - 2)
    share = (at - below).astype(np.float32)[:, None]
    resampled = rows[below] * (1 - share) + rows[below + 1] * share
    resampled -= resampled.mean(axis=0)
    periods = -(-count // PERIOD)
    padded = np.zeros((periods * PERIOD, ROWS), np.float32)
    padded[:count] = resampled
    folded: Floats = padded.reshape(periods, PERIOD, ROWS).sum(axis=0)
    return folded
