"""A tiny codec with every part of the published one at work, and upstream's own decode of it."""

from __future__ import annotations

from typing import Any

import torch

from foundation.torchaudio_cpu import import_torchaudio
from tests.assets import tiny_qwen

import_torchaudio()

from speech.qwen.codec import StreamingCodec  # noqa: E402 - after torchaudio is made importable

GROUPS, BINS = 16, 512
TOLERANCE = 1e-4
WINDOW = 9  # short, so that rings turn over many times in a short test


def build(**changes: object) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        decoder = tiny_qwen.codec(**changes).decoder
        for name, parameter in decoder.named_parameters():
            if name.endswith(
                (".scale", ".gamma", ".alpha", ".beta")
            ):  # as upstream starts them, they do nothing
                torch.nn.init.uniform_(parameter, 0.2, 0.8)
    return decoder


def every_part() -> Any:
    """Two layers, grouped heads and a short window: everything that the published decoder may turn on."""
    return build(num_hidden_layers=2, num_key_value_heads=1, sliding_window=WINDOW)


def codes(frames: int, seed: int = 0, batch: int = 1) -> Any:
    return torch.randint(0, BINS, (batch, GROUPS, frames), generator=torch.Generator().manual_seed(seed))


def whole(decoder: Any, spoken: Any) -> Any:
    """Upstream's full decode: float32[B, samples]."""
    with torch.inference_mode():
        return decoder(spoken).squeeze(1)


def streaming(decoder: Any, slots: int = 3) -> StreamingCodec:
    return StreamingCodec(decoder, slots=slots, device="cpu", dtype=torch.float32)


def at(*slots: int) -> Any:
    return torch.tensor(slots)


def close(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE)
