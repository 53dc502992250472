"""Fundamental frequency of a recording, by autocorrelation (Boersma 1993, without the fine points)."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

from speech.engine import Samples

Floats: TypeAlias = npt.NDArray[np.float64]

_RATE: Final = 8_000  # Hz; enough for a fundamental below 500 Hz
_WINDOW: Final = 320  # 40 ms, two periods of the lowest pitch looked for
_HOP: Final = 160
_LOWEST_HZ: Final = 60.0
_HIGHEST_HZ: Final = 420.0
_VOICED: Final = 0.6  # normalised autocorrelation from which a frame counts as voiced
_LONGEST_S: Final = 30.0


def median_pitch(samples: Samples, sample_rate: int) -> float | None:
    """Median F0 of the voiced frames in Hz, or None where nothing is voiced.

    samples: float32[n], mono. Looks at the first 30 s.
    """
    head = samples[: int(_LONGEST_S * sample_rate)]
    wave = soxr.resample(head, sample_rate, _RATE) if sample_rate != _RATE else head
    if wave.size < _WINDOW:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(wave, _WINDOW)[::_HOP].astype(np.float64)
    loud = np.sqrt((frames**2).mean(axis=1))
    frames = frames[loud > max(1e-4, 0.1 * float(loud.max()))]
    if frames.shape[0] == 0:
        return None
    correlation = _autocorrelation(frames)
    first, last = int(_RATE / _HIGHEST_HZ), int(_RATE / _LOWEST_HZ)
    searched = correlation[:, first:last]
    # The shortest lag that is nearly as good as the best one: the best alone is often an octave too low.
    good = searched >= 0.9 * searched.max(axis=1, keepdims=True)
    peak = (
        good
        & (searched >= correlation[:, first - 1 : last - 1])
        & (searched >= correlation[:, first + 1 : last + 1])
    )
    lag = np.where(peak.any(axis=1), peak.argmax(axis=1), 0) + first
    rows = np.arange(lag.size)
    voiced = peak.any(axis=1) & (correlation[rows, lag] > _VOICED)
    if not voiced.any():
        return None
    return float(_RATE / np.median(_refine(correlation[voiced], lag[voiced])))


def _autocorrelation(frames: Floats) -> Floats:
    """Normalised per frame, corrected for the window's own autocorrelation; lag 0 is 1."""
    window = np.hanning(_WINDOW)
    centred = (frames - frames.mean(axis=1, keepdims=True)) * window

    def correlate(rows: Floats) -> Floats:
        spectrum = np.abs(np.fft.rfft(rows, 2 * _WINDOW, axis=1)) ** 2
        lags = np.fft.irfft(spectrum, axis=1)[:, :_WINDOW]
        scaled: Floats = lags / np.maximum(lags[:, :1], 1e-12)
        return scaled

    corrected: Floats = correlate(centred) / np.maximum(correlate(window[None, :]), 1e-3)
    return corrected


def _refine(correlation: Floats, lag: npt.NDArray[np.intp]) -> Floats:
    """Parabola through the peak and its neighbours: a lag between two samples."""
    rows = np.arange(lag.size)
    left, top, right = (correlation[rows, lag + step] for step in (-1, 0, 1))
    bend = left - 2 * top + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.minimum(bend, -1e-12), 0.0)
    refined: Floats = lag + np.clip(shift, -0.5, 0.5)
    return refined
