"""How many marked clips it takes to lift the keyed pattern and lay it on real speech: `python -m
benchmarks.watermark.averaging`, some minutes on one core.

The forger holds stripped clips of one epoch, each with a tag of its own, and knows everything but the key: that the
pattern repeats every 256 frames from each clip's first on. What each bin is above its surroundings, averaged over
periods and clips, is laid on the speech of somebody else, as strongly as we do it. Prints, for each number of clips,
how often a reader then finds a mark, and how often it is certain of a tag. The rest is the fingerprint's to refuse.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

import numpy as np
from scipy.ndimage import uniform_filter

from benchmarks.watermark.corpus import Clip, measured
from provenance.audio import Samples
from provenance.keyed.detect import Reader
from provenance.keyed.embed import embed
from provenance.keyed.pattern import BINS, CELL_BINS, LEVEL_DB, PERIOD, ROW_GAINS_DB, Floats, Pattern
from provenance.keyed.score import AROUND_BINS, AROUND_FRAMES, EDGE, log_spectrum

NUMBERS: Final = (1, 2, 4, 8, 16, 32, 64)
_ROUNDS: Final = 10
_KEY: Final = hashlib.sha256(b"averaging").digest()
_VICTIM: Final = "ru"


class Lifted(Pattern):
    """What the forger took for the pattern, laid on as we lay on ours."""

    def __init__(self, turns: Floats) -> None:
        super().__init__(bytes(32))
        self._turns = turns

    def gains(self, tag: int) -> Floats:
        decibels = self._turns * ROW_GAINS_DB.repeat(CELL_BINS) + LEVEL_DB
        return np.asarray(10 ** (decibels / 20), np.float32)


def lifted(clips: list[Samples]) -> Lifted:
    """float32[PERIOD, BINS] out of marked clips: what each bin is above its surroundings, on average."""
    total, count = np.zeros((PERIOD, BINS)), np.zeros((PERIOD, 1))
    for samples in clips:
        spectrum = log_spectrum(samples)
        around = uniform_filter(spectrum, (2 * AROUND_FRAMES + 1, 2 * AROUND_BINS + 1))
        above = np.clip(spectrum - around, -1.5, 1.5)[:, EDGE + AROUND_BINS :][:, :BINS]
        for start in range(0, len(above), PERIOD):
            part = above[start : start + PERIOD]
            total[: len(part)] += part
            count[: len(part)] += 1
    return Lifted(np.sign(total / np.maximum(count, 1)).astype(np.float32))


def main() -> None:
    pattern, reader = Pattern(_KEY), Reader(Pattern(_KEY))
    random = np.random.default_rng(0)
    clips = list(measured(20))
    sources = [clip for clip in clips if clip.language != _VICTIM]
    victims = [clip for clip in clips if clip.language == _VICTIM and clip.kind == "natural"]
    marked = [embed(clip.samples, pattern, tag) for tag, clip in enumerate(sources, 1)]
    for number in NUMBERS:
        found = certain = 0
        for round_ in range(_ROUNDS):
            taken = random.choice(len(marked), number, replace=False)
            forged = _forge(lifted([marked[at] for at in taken]), victims[round_ % len(victims)])
            reading = reader.read(forged)
            found += reading is not None
            certain += reading is not None and reading.sure
        print(
            json.dumps({"clips": number, "of": _ROUNDS, "found": found, "certain_of_a_tag": certain}),
            flush=True,
        )


def _forge(pattern: Lifted, victim: Clip) -> Samples:
    return np.clip(embed(victim.samples, pattern, 0), -1.0, 1.0)


if __name__ == "__main__":
    main()
