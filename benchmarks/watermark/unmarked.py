"""How often a mark is found where none was put in: `python -m benchmarks.watermark.unmarked [--segments N]`.

Natural speech that nothing was tuned on, cut to segments of 1, 2 and 3 seconds at random places and read under random
keys. An hour and more of one core for 30,000. Prints one JSON line: the count, the highest evidence, the bound that
no finding in N gives (rule of three, 95 %), and, named as such, what a Gumbel fit to the highest of blocks
extrapolates.
"""

from __future__ import annotations

import argparse
import json
import math
import secrets
import sys
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from benchmarks.watermark.corpus import RATE, SPEAKERS, measured
from provenance.keyed.detect import EVIDENCE, Reader
from provenance.keyed.pattern import Pattern

Evidences: TypeAlias = npt.NDArray[np.float64]

SECONDS: Final = (1.0, 2.0, 3.0)
_BLOCK: Final = 50  # segments whose highest evidence goes into the fit
_KEYS: Final = 200  # segments in a row under one key: code words are made anew for each


def evidences(segments: int, save: str | None = None, per_language: int = 60) -> Evidences:
    """The evidence of each segment's best reading, whether it counts or not."""
    clips = [clip.samples for clip in measured(per_language) if clip.kind == "natural"]
    random, found = np.random.default_rng(secrets.randbits(64)), np.zeros(segments)
    for number in range(segments):
        if number % _KEYS == 0:
            if save and number:
                np.save(save, found[:number])  # what was looked at counts, also when the rest is not
            reader = Reader(Pattern(secrets.token_bytes(32)), least=0.0)
            print(f"\r{number} of {segments}", end="", file=sys.stderr, flush=True)
        clip = clips[int(random.integers(len(clips)))]
        size = int(random.choice(SECONDS) * RATE)
        start = int(random.integers(clip.size - size + 1))
        reading = reader.read(clip[start : start + size])
        found[number] = 0.0 if reading is None else reading.evidence
    return found


def summary(found: Evidences) -> dict[str, float | int | str]:
    highest = found[: len(found) // _BLOCK * _BLOCK].reshape(-1, _BLOCK).max(axis=1)
    if len(highest) < 2:
        raise SystemExit(f"look at {2 * _BLOCK} segments at least")
    scale = float(highest.std()) * math.sqrt(6) / math.pi
    place = float(highest.mean()) - 0.5772 * scale
    return {
        "segments": len(found),
        "found": int((found >= EVIDENCE).sum()),
        "highest_evidence": round(float(found.max()), 2),
        "threshold": EVIDENCE,
        "bound_95": 3.0 / len(found) if not (found >= EVIDENCE).any() else float("nan"),
        "extrapolated_per_segment": -math.expm1(-math.exp(-(EVIDENCE - place) / scale)) / _BLOCK,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--segments", type=int, default=30_000)
    parser.add_argument("--save", help="a .npy file for the evidences, to be put together with other runs'")
    parser.add_argument(
        "--join", nargs="*", default=(), help="saved evidences to summarise, instead of a run"
    )
    given = parser.parse_args()
    found = (
        np.concatenate([np.load(path) for path in given.join])
        if given.join
        else evidences(given.segments, given.save)
    )
    if given.save:
        np.save(given.save, found)
    print(json.dumps({"languages": list(SPEAKERS), **summary(found)}))


if __name__ == "__main__":
    main()
