"""Computed recordings that a voice activity detector takes for speech; no two of different pitch are alike."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import soundfile


@lru_cache(maxsize=256)
def voiced(
    seconds: float, *, hertz: float = 180.0, rate: int = 16_000, level: float = 0.3, format: str = "WAV"
) -> bytes:
    """An encoded file: harmonics that glide, swell and fade, in a little noise. level: its highest sample, about."""
    time = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(hertz * (1 + 0.05 * np.sin(2 * np.pi * 0.7 * time))) / rate
    wave = sum(np.sin(k * phase) / k for k in range(1, 12))
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 3.0 * time)
    noise = np.random.default_rng(int(hertz)).normal(0, 1 / 60, time.size)
    out = io.BytesIO()
    samples = np.clip(level * (wave * swell / 2 + noise), -1, 1)
    soundfile.write(
        out, samples.astype(np.float32), rate, format=format, subtype="PCM_16" if format == "WAV" else None
    )
    return out.getvalue()
