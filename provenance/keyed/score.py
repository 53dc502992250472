"""How likely each bin of a recording was turned up (+1) or down (−1), judged from its neighbourhood alone.

No key is needed: the judgement is made once for a recording and searched with every epoch's key. A bin's log magnitude
is compared with the 13 bins × 15 frames around it by a small network (196 → 40 → 16 → 1, tanh), which learns what
speech would have looked like there. Its weights are in `provenance/data`; `benchmarks/watermark/train.py` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np

from provenance.audio import Samples
from provenance.keyed.pattern import BINS, FIRST_BIN, HOP, WINDOW, Floats

EDGE: Final = 12  # bins judged beyond the pattern on either side, for recordings whose pitch was moved
AROUND_BINS: Final = 6
AROUND_FRAMES: Final = 7
FEATURES: Final = (2 * AROUND_BINS + 1) * (2 * AROUND_FRAMES + 1) + 1
_FLOOR: Final = 1e-5  # below 16-bit rounding noise
_BLOCK: Final = 64  # frames judged at once: bounds memory to some 10 MB
_WEIGHTS: Final = "keyed-scorer.npz"
_ANALYSIS: Final = np.sqrt(np.hanning(WINDOW + 1)[:-1]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Scorer:
    """A three-layer perceptron; weights[i]: float32[out, in], biases[i]: float32[out]."""

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def __call__(self, features: Floats) -> Floats:
        """features: float32[n, FEATURES]. Returns float32[n], −1…1."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            features = np.maximum(features @ weight.T + bias, 0)
        judged: Floats = np.tanh((features @ self.weights[-1].T + self.biases[-1])[:, 0])
        return judged


@cache
def scorer() -> Scorer:
    with (files("provenance") / "data" / _WEIGHTS).open("rb") as file, np.load(file) as stored:
        count = len(stored.files) // 2
        return Scorer(
            tuple(stored[f"weight{at}"] for at in range(count)),
            tuple(stored[f"bias{at}"] for at in range(count)),
        )


def log_spectrum(samples: Samples) -> Floats:
    """float32[frames, bins] of log magnitudes, wide enough for `neighbourhoods`. samples: 24 kHz."""
    padded = np.concatenate([np.zeros(WINDOW - HOP, np.float32), samples, np.zeros(WINDOW, np.float32)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    low, high = FIRST_BIN - EDGE - AROUND_BINS, FIRST_BIN + BINS + EDGE + AROUND_BINS
    logs = [
        np.log(np.abs(np.fft.rfft(frames[at : at + _BLOCK] * _ANALYSIS, axis=1)[:, low:high]) + _FLOOR)
        for at in range(0, len(frames), _BLOCK)
    ]
    return np.concatenate(logs).astype(np.float32)


def neighbourhoods(spectrum: Floats) -> Floats:
    """A view: float32[frames, bins, bins around, frames around] of `log_spectrum`'s result."""
    padded = np.pad(spectrum, ((AROUND_FRAMES, AROUND_FRAMES), (0, 0)), mode="edge")
    shape = (2 * AROUND_FRAMES + 1, 2 * AROUND_BINS + 1)
    return np.lib.stride_tricks.sliding_window_view(padded, shape)


def features_of(patches: Floats, level: float) -> Floats:
    """float32[n, FEATURES]: each patch less its mean, and that mean less `level` (the recording's median)."""
    flat = patches.reshape(len(patches), -1)
    mean = flat.mean(axis=1, keepdims=True)
    return np.concatenate([flat - mean, mean - level], axis=1)


def score_map(samples: Samples) -> Floats:
    """float32[frames, BINS + 2·EDGE], −1…1. samples: float32[n], mono, 24 kHz."""
    spectrum = log_spectrum(samples)
    level, judge, around = float(np.median(spectrum)), scorer(), neighbourhoods(spectrum)
    scores = np.empty(around.shape[:2], np.float32)
    for at in range(0, len(around), _BLOCK):
        patches = around[at : at + _BLOCK]
        flat = patches.reshape(-1, *patches.shape[2:])
        scores[at : at + _BLOCK] = judge(features_of(flat, level)).reshape(patches.shape[:2])
    return scores
