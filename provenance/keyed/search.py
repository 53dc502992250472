"""Whose tag does a recording carry? Every epoch's key is tried on its loudest stretches, newest first.

The score map is made once for a stretch, whatever the number of keys. Code words are made for one key at a time and
kept for the last few used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import soxr

from consent_service.proofs.records import WatermarkTag
from provenance.audio import Samples
from provenance.keyed.detect import WINDOW_SECONDS, MarkReading, Reader
from provenance.keyed.pattern import SAMPLE_RATE, Pattern
from provenance.keyed.score import score_map

MOST_STRETCHES: Final = 6  # of one recording: a minute of it at most
_KEPT_READERS: Final = 3  # 35 MB each


@dataclass(frozen=True, slots=True)
class Found:
    """A mark, and where it was read. samples: float32[n], mono, 24 kHz."""

    mark: WatermarkTag
    reading: MarkReading
    samples: Samples


def find_mark(samples: Samples, sample_rate: int, keys: Mapping[int, bytes]) -> Found | None:
    """The mark with the most evidence whose tag is sure. samples: float32[n], mono, −1…1. keys: epoch → 32 bytes."""
    if not keys:
        return None
    at_rate = samples if sample_rate == SAMPLE_RATE else soxr.resample(samples, sample_rate, SAMPLE_RATE)
    for stretch in _stretches(at_rate.astype(np.float32, copy=False)):
        scores = score_map(stretch)
        for epoch in sorted(keys, reverse=True):
            reading = _reader(keys[epoch]).read_scores(scores)
            if reading is not None and reading.sure:
                return Found(WatermarkTag(epoch, reading.tag), reading, stretch)
    return None


def _stretches(samples: Samples) -> Iterator[Samples]:
    """The loudest first: a pause carries nothing."""
    size = int(WINDOW_SECONDS * SAMPLE_RATE)
    parts = [samples[at : at + size] for at in range(0, max(1, samples.size), size)]
    parts.sort(key=lambda part: float(np.square(part, dtype=np.float64).sum()), reverse=True)
    yield from parts[:MOST_STRETCHES]


@lru_cache(maxsize=_KEPT_READERS)
def _reader(key: bytes) -> Reader:
    return Reader(Pattern(key))
