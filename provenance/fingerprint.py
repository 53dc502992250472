"""An acoustic fingerprint: what a clip sounds like, in 22 bytes a second, robust where a digest is not.

A watermark can be lifted off many clips and laid on real speech, so a tag that was read only names a candidate; the
fingerprint that the register keeps of that clip decides. One bit per band and frame: whether the energy difference of
two neighbouring bands rose or fell (Haitsma & Kalker, ISMIR 2002), 16 bits every 85 ms. It is no secret and no
voiceprint: it says what was spoken when, not by whom.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from provenance.audio import Samples

SAMPLE_RATE: Final = 24_000
MATCHES: Final = (
    0.68  # share of equal bits: other speech reached 0.61, our own in noise at 10 dB fell to 0.72
)
LEAST_FRAMES: Final = 24  # 384 bits, 2.4 s: fewer match other speech by chance
_VERSION: Final = b"\x01"
_WINDOW: Final = 8_192  # 0.34 s: long against the hop, so that a shift between frames matters little
_HOP: Final = 2_048
_BANDS: Final = 17
_LOWEST, _HIGHEST = 300.0, 3_600.0  # Hz: what a telephone leaves
_PHASES: Final = 4  # how many shifts within a hop a query is tried at

Bits: TypeAlias = npt.NDArray[np.bool_]


def fingerprint(samples: Samples) -> bytes:
    """samples: float32[n], mono, 24 kHz. A version byte, then 16 bits a frame; empty of frames below a second."""
    return _VERSION + np.packbits(_bits(samples), axis=1).tobytes()


def similarity(
    stored: bytes, samples: Samples, *, time_scale: float = 1.0, frequency_scale: float = 1.0
) -> float:
    """Share of equal bits at the best alignment, 0…1; about 0.5–0.65 for other speech, 0 where nothing can be said.

    samples: float32[n], mono, 24 kHz; scales: as `keyed.detect.Reading` has them, to undo a change of speed or pitch.
    """
    if stored[:1] != _VERSION:
        return 0.0
    whole = np.unpackbits(np.frombuffer(stored[1:], np.uint8)).astype(np.bool_).reshape(-1, _BANDS - 1)
    step = _HOP / time_scale
    best = 0.0
    for phase in range(_PHASES):
        start = int(step * phase / _PHASES)
        best = max(best, _best_overlap(whole, _bits(samples[start:], step, frequency_scale)))
    return best


def _best_overlap(whole: Bits, part: Bits) -> float:
    """Slide the shorter along the longer."""
    longer, shorter = (whole, part) if len(whole) >= len(part) else (part, whole)
    if len(shorter) < LEAST_FRAMES:
        return 0.0
    windows = np.lib.stride_tricks.sliding_window_view(longer, len(shorter), axis=0).transpose(0, 2, 1)
    return float((windows == shorter).mean(axis=(1, 2)).max())


def _bits(samples: Samples, step: float = _HOP, frequency_scale: float = 1.0) -> Bits:
    """bool[frames, bands − 1]."""
    count = int((samples.size - _WINDOW) / step) + 1 if samples.size >= _WINDOW else 0
    if count < 2:
        return np.zeros((0, _BANDS - 1), np.bool_)
    starts = (np.arange(count) * step).astype(np.intp)
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[starts]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(_WINDOW).astype(np.float32), axis=1)))
    edges = np.geomspace(_LOWEST, _HIGHEST, _BANDS + 1) * frequency_scale * _WINDOW / SAMPLE_RATE
    bands = np.add.reduceat(power, edges.astype(np.intp), axis=1)[:, :_BANDS]
    rises = np.diff(np.diff(np.log(bands + 1e-9), axis=1), axis=0)
    found: Bits = rises > 0
    return found
