"""Stand-ins for reference recordings: a hum of known pitch, for tests that need to tell two voices apart."""

from __future__ import annotations

import numpy as np

from speech.engine import Reference, Samples


def hum(hertz: float, *, seconds: float = 3.0, sample_rate: int = 24_000, level: float = 0.2) -> Samples:
    """float32[n]: five harmonics of `hertz`."""
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    wave = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 6))
    return (level * np.asarray(wave)).astype(np.float32)


def reference(hertz: float, *, transcript: str = "The words of the recording.") -> Reference:
    return Reference(hum(hertz), 24_000, transcript)
