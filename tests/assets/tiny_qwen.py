"""Tiny random Qwen3-TTS checkpoints, so that the real loading and generation code runs in seconds, offline.

Three directories, `base`, `custom_voice` and `voice_design`, in the layout of the published checkpoints:
about one million random parameters each, a byte-level tokenizer with the real control tokens, and a 12 Hz
codec with the real frame rate (1,920 samples). What they say is noise; that they say it, and the same every
time, is what tests need.

    python -m tests.assets.tiny_qwen OUT
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from vouch.bench.engine_checkpoints import KINDS, make_codec, write_checkpoint


def build(folder: Path, *, seed: int = 0) -> dict[str, Path]:
    """Write all three checkpoints under `folder`; the same seed writes the same weights."""
    return {kind: build_one(folder / kind, kind, seed=seed) for kind in KINDS}


def build_one(folder: Path, kind: str, *, seed: int = 0, endless: bool = False) -> Path:
    """Write one checkpoint and return its directory. endless: speech ends only at its frame budget."""
    return write_checkpoint(folder, kind, seed=seed, endless=endless)


def codec(**changes: Any) -> Any:
    """The 12 Hz codec alone, with `changes` to its decoder's configuration; draws from torch's random numbers."""
    return make_codec(**changes)


if __name__ == "__main__":
    for kind, where in build(Path(sys.argv[1])).items():
        print(kind, where)  # noqa: T201
