"""Makes the scorer of the keyed watermark anew: `python -m benchmarks.watermark.train` (some five minutes on one core).

It learns, from clips marked with random keys and tags and then handled, which way each bin was turned; keys and tags
of the product never come into it. Writes `provenance/data/keyed-scorer.npz`.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch

import provenance
from benchmarks.watermark.attacks import ATTACKS
from benchmarks.watermark.corpus import RATE, Clip, learned
from provenance.audio import Samples
from provenance.keyed.embed import embed
from provenance.keyed.pattern import BINS, HOP, PERIOD, Floats, Pattern
from provenance.keyed.score import EDGE, FEATURES, features_of, log_spectrum, neighbourhoods

# The hard ones twice: what is easy is learned on the way.
HANDLED: Final = (
    "none", "MP3 64 kbit/s", "Opus 24 kbit/s", "Opus 12 kbit/s", "Opus 12 kbit/s",
    "noise 20 dB", "noise 20 dB", "noise 10 dB",
)  # fmt: skip
_PER_CLIP: Final = 1_800  # bins looked at, of each clip handled in each way
_SECONDS: Final = 9
_EPOCHS: Final = 24
_BATCH: Final = 4_096


def examples(clip: Clip, random: np.random.Generator) -> tuple[Floats, Floats]:
    """float32[n, FEATURES] and float32[n]: which way each bin was really turned, −1…1."""
    pattern, tag = Pattern(random.bytes(32)), int(random.integers(1 << 24))
    start = int(random.integers(max(1, clip.samples.size - _SECONDS * RATE)))
    marked = embed(clip.samples[start : start + _SECONDS * RATE], pattern, tag)
    turned = pattern.turns(tag)
    features, targets = [], []
    for name in HANDLED:
        spectrum = log_spectrum(_aligned(ATTACKS[name](marked), marked))
        frames = min(len(spectrum), marked.size // HOP)
        frame, bin_ = random.integers(frames, size=_PER_CLIP), random.integers(BINS, size=_PER_CLIP)
        patches = neighbourhoods(spectrum)[frame, bin_ + EDGE]
        features.append(features_of(patches, float(np.median(spectrum))))
        targets.append(turned[frame % PERIOD, bin_])
    return np.concatenate(features), np.concatenate(targets).astype(np.float32)


def _aligned(handled: Samples, original: Samples) -> Samples:
    """Codecs delay: shift to where the two correlate best."""
    size = 2 * original.size
    correlation = np.fft.irfft(np.fft.rfft(handled, size) * np.conj(np.fft.rfft(original, size)))
    delay = int(correlation.argmax())
    delay = delay - size if delay > original.size else delay
    return handled[delay:] if delay >= 0 else np.pad(handled, (-delay, 0))


def train() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    random = np.random.default_rng(0)
    made = [examples(clip, random) for clip in learned()]
    features, targets = (torch.from_numpy(np.concatenate(part)) for part in zip(*made, strict=True))
    spread = features.std(0) + 1e-6
    features /= spread
    sizes = (FEATURES, 40, 16, 1)
    layers = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    network = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1], torch.nn.ReLU(), layers[2])
    optimiser = torch.optim.Adam(network.parameters())
    steps = len(features) // _BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=_EPOCHS * steps)
    for epoch in range(_EPOCHS):
        order, lost = torch.randperm(len(features)), 0.0
        for chosen in order[: steps * _BATCH].view(steps, _BATCH):
            judged = torch.tanh(network(features[chosen])[:, 0])
            loss = (judged - targets[chosen]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            lost += loss.item()
        print(f"epoch {epoch + 1:2d}  loss {lost / steps:.4f}")
    weights = [layer.weight.detach().numpy() for layer in layers]
    weights[0] = weights[0] / spread.numpy()
    stored = {f"weight{at}": weight for at, weight in enumerate(weights)}
    stored |= {f"bias{at}": layer.bias.detach().numpy() for at, layer in enumerate(layers)}
    np.savez(Path(provenance.__file__).parent / "data" / "keyed-scorer.npz", **stored)


if __name__ == "__main__":
    train()
