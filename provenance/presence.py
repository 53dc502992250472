"""The presence watermark: "this is synthetic", audible to machines only.

Perth (resemble-perth 1.0.1) adds a residual below 2 kHz that a small network recognises. Anyone can embed it and
anyone can find it, so it says *synthetic* and never *ours*. It looks at the whole utterance and marks complete clips
only. As Perth has it, it is heard; here each clip gets as little of it as is surely found in the file that leaves, and
least where it is heard most. What becomes of the file afterwards, the keyed mark survives and this one may not
(docs/adr/0022-less-of-the-presence-mark.md).

Fails closed: a clip too short or too quiet to carry the mark is refused, never handed over unmarked.
"""

from __future__ import annotations

import math
import warnings
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import soxr

from foundation.torchaudio_cpu import import_torchaudio
from provenance.audio import Samples
from provenance.errors import StampFailed

if TYPE_CHECKING:
    from perth.perth_net.perth_net_implicit.model.perth_net import PerthNet
    from torch import Tensor

PRESENT: Final = 0.6  # of 102 unmarked clips the highest scored 0.51
HOLDS: Final = 0.62  # what the mark must reach in the file that leaves
_AIM: Final = 0.68  # what it is made to reach before encoding
MIN_SECONDS: Final = 0.1  # below, the decoder sees too few frames
_HEADROOM_DB: Final = 15.0  # Perth's own, above full scale
_PERTH_RATE: Final = 32_000
_HOP: Final = 320
_WINDOW_SECONDS: Final = 30.0
_QUIETEST_PEAK: Final = 1e-3  # −60 dBFS: below, 16-bit samples no longer hold the residual
# Quarters of Perth's band, lowest first: what PESQ-wb hears of them, and what the network takes from them, differ.
_SHAPE: Final = (0.3, 0.38, 1.0, 1.0)
# The network's logit grows by so much with each unit of strength; measured on natural speech, around this strength.
_TYPICAL: Final = 0.65
_LOGIT_PER_STRENGTH: Final = 7.7
_WEAKEST: Final = 0.45
_STRONGEST: Final = 1.5
_LOOKED_AT: Final = 5 * _PERTH_RATE  # samples from which a clip's strength is judged


class PresenceMark:
    """Embeds and detects the mark. Stateless: the network is loaded on first use, once per process."""

    def embed(self, samples: Samples, sample_rate: int, *, strength: float = 1.0) -> Samples:
        """A marked copy: same length and rate, −1…1.

        samples: float32[n], mono, −1…1; strength: as a multiple of the least that is surely found. Raises
        StampFailed, with code `clip_too_short` or `clip_silent` where the clip cannot carry a mark.
        """
        return self.add(samples, self.residual(samples, sample_rate), strength)

    def residual(self, samples: Samples, sample_rate: int) -> Samples:
        """What makes the mark when it is added, once. Raises as `embed` does."""
        if samples.size < MIN_SECONDS * sample_rate:
            raise StampFailed(f"a clip under {MIN_SECONDS} s cannot be marked", code="clip_too_short")
        if not float(np.abs(samples).max()) >= _QUIETEST_PEAK:
            raise StampFailed("a silent clip cannot be marked", code="clip_silent")
        # Only the residual is resampled back, so that nothing above 2 kHz is touched.
        at_32k = soxr.resample(samples, sample_rate, _PERTH_RATE)
        residual = _fit(soxr.resample(_residual(at_32k), _PERTH_RATE, sample_rate), samples.size)
        if not np.isfinite(residual).all():
            raise StampFailed("the presence mark could not be embedded")
        return residual

    def add(self, samples: Samples, residual: Samples, strength: float) -> Samples:
        within: Samples = np.clip(samples + np.float32(strength) * residual, -1.0, 1.0).astype(np.float32)
        return within

    def detect(self, samples: Samples, sample_rate: int) -> float:
        """How sure it is that the mark is there, 0…1; `PRESENT` and above counts. 0 for silence.

        The mean over windows, so that memory stays bounded however long the upload is.
        """
        window = int(_WINDOW_SECONDS * sample_rate)
        parts = [samples[at : at + window] for at in range(0, samples.size, window)]
        scored = [(self._score(part, sample_rate), part.size) for part in parts]
        heard = [(score, size) for score, size in scored if score is not None]
        if not heard:
            return 0.0
        return sum(score * size for score, size in heard) / sum(size for _, size in heard)

    def _score(self, samples: Samples, sample_rate: int) -> float | None:
        """0…1; None where there is nothing to hear."""
        if samples.size < MIN_SECONDS * sample_rate or not np.abs(samples).max() > 0:
            return None
        score = _decoded(_perth(), soxr.resample(samples, sample_rate, _PERTH_RATE))
        return None if math.isnan(score) else min(max(score, 0.0), 1.0)


def _residual(at_32k: Samples) -> Samples:
    """What Perth adds, window by window with cross-fades, so that memory does not grow with the clip."""
    window, fade = int(_WINDOW_SECONDS * _PERTH_RATE), _PERTH_RATE // 2
    rising = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    out = np.zeros_like(at_32k)
    start = 0
    while True:
        part = at_32k[start : start + window]
        added = _perth_adds(part)
        is_last = start + window >= at_32k.size
        if start:
            added[:fade] *= rising
        if not is_last:
            added[-fade:] *= rising[::-1]
        out[start : start + part.size] += added
        if is_last:
            return out
        start += window - fade


def _perth_adds(part: Samples) -> Samples:
    import torch

    net = _perth()
    # The inverse transform gives whole hops only: pad past the end, then cut back.
    padded = np.pad(part, (0, _HOP + -part.size % _HOP))
    with torch.inference_mode():
        spectrum = net.ap.spectrogram(torch.from_numpy(padded))
        level = _level(net, spectrum)
        marked, _ = net.encoder(level[None])
        # Perth changes levels below 2 kHz and no phase: what it adds is the spectrum times how much louder each cell
        # becomes. Taken so, the phases of the whole spectrum need not be computed, a third of the work.
        bins = net.encoder.subband
        rise = (marked[0, :bins] - level[:bins]) * _shape(bins)
        gain_db = _TYPICAL * rise * (_HEADROOM_DB - _floor_db(net))
        added = torch.zeros_like(spectrum)
        added[:bins] = spectrum[:bins] * (torch.pow(10.0, gain_db / 20) - 1)
        out: Samples = _fit(net.ap.inv_spectrogram(added).numpy(), part.size)
        return out * np.float32(_least(net, part, out) / _TYPICAL)


def _shape(bins: int) -> Tensor:
    import torch

    return torch.tensor(_SHAPE).repeat_interleave(bins // len(_SHAPE))[:, None]


def _least(net: PerthNet, part: Samples, added: Samples) -> float:
    """The strength at which the network is about as sure as `_AIM`, judged from the middle of the clip. added: at
    `_TYPICAL` strength."""
    start = max(0, (part.size - _LOOKED_AT) // 2)
    looked_at = slice(start, start + _LOOKED_AT)
    score = _decoded(net, part[looked_at] + added[looked_at])
    if math.isnan(score):
        return _STRONGEST
    missing = _logit(_AIM) - _logit(score)
    return min(max(_TYPICAL + missing / _LOGIT_PER_STRENGTH, _WEAKEST), _STRONGEST)


def _decoded(net: PerthNet, at_32k: Samples) -> float:
    """What the network makes of it, about 0…1; NaN where there is nothing to hear."""
    import torch

    with torch.inference_mode():
        spectrum = net.ap.spectrogram(torch.from_numpy(np.ascontiguousarray(at_32k)))
        return float(net.decoder(_level(net, spectrum)[None])[0])


def _logit(score: float) -> float:
    share = min(max(score, 1e-4), 1 - 1e-4)
    return math.log(share / (1 - share))


def _level(net: PerthNet, spectrum: Tensor) -> Tensor:
    """Decibels between Perth's floor and its headroom, as 0…1."""
    import torch

    decibels = 20 * torch.log10(spectrum.abs().clip(net.hp.stft_magnitude_min))
    return (decibels - _floor_db(net)) / (_HEADROOM_DB - _floor_db(net))


def _floor_db(net: PerthNet) -> float:
    return 20 * math.log10(net.hp.stft_magnitude_min)


def _fit(samples: Samples, length: int) -> Samples:
    return np.pad(samples[:length], (0, max(0, length - samples.size)))


@cache
def _perth() -> PerthNet:
    import_torchaudio()
    with warnings.catch_warnings():
        # Perth finds its weights through pkg_resources, which warns of its own end; setuptools is pinned for
        # it.
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
        from perth.perth_net import PREPACKAGED_MODELS_DIR
        from perth.perth_net.perth_net_implicit.checkpoint_manager import CheckpointManager
        from perth.perth_net.perth_net_implicit.model.perth_net import PerthNet
    # Not PerthNet.load(): it prints to standard output, which belongs to the command line's JSON.
    checkpoint = CheckpointManager(PREPACKAGED_MODELS_DIR, "implicit")
    net = PerthNet(checkpoint.hp)
    net.load_state_dict(checkpoint.load_latest()["model"])
    net.eval()
    return net
