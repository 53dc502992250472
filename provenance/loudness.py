"""Programme loudness, measured and set: EBU R 128, ITU-R BS.1770-4, by FFmpeg's meter.

Two passes and one gain for the whole clip: no compression, no limiter, nothing that would change how a voice sounds.
Where the loudness asked for would push the true peak past −1 dBTP, the clip stays quieter than asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from av.filter import Graph

from provenance.audio import Samples

CEILING_DBTP: Final = -1.0
_SHORTEST_S: Final = (
    3.0  # a gating block is 0.4 s; what is shorter than a few of them is measured as if it went on
)
_SILENT: Final = -69.0  # below the absolute gate: there is no loudness
_BLOCK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Loudness:
    """integrated: LUFS. true_peak: dBTP (four times oversampled)."""

    integrated: float
    true_peak: float


def measure(samples: Samples, sample_rate: int) -> Loudness:
    """samples: float32[n], mono, −1…1. Of silence the loudness is −inf."""
    wanted = int(_SHORTEST_S * sample_rate)
    heard = samples if samples.size >= wanted else np.resize(samples, wanted)
    graph = Graph()
    source = graph.add_abuffer(format="flt", sample_rate=sample_rate, layout="mono")
    meter = graph.add("ebur128", "metadata=1:peak=true")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    last: dict[str, str] = {}
    for start in range(0, heard.size, _BLOCK):
        part = np.ascontiguousarray(heard[None, start : start + _BLOCK])
        frame = av.AudioFrame.from_ndarray(part, format="flt", layout="mono")
        frame.sample_rate, frame.pts = sample_rate, start
        source.push(frame)
        last = _drained(sink) or last
    source.push(None)
    last = _drained(sink) or last
    integrated, peak = float(last["lavfi.r128.I"]), float(last["lavfi.r128.true_peak"])
    return Loudness(
        integrated if integrated > _SILENT else -math.inf, 20 * math.log10(peak) if peak > 0 else -math.inf
    )


def normalise(samples: Samples, sample_rate: int, target: float) -> Samples:
    """The same clip at `target` LUFS, or as near to it as the ceiling allows; silence is returned as it is."""
    found = measure(samples, sample_rate)
    if not math.isfinite(found.integrated):
        return samples
    gain_db = min(target - found.integrated, CEILING_DBTP - found.true_peak)
    louder: Samples = samples * np.float32(10 ** (gain_db / 20))
    return louder


def _drained(sink: av.filter.FilterContext) -> dict[str, str]:
    last: dict[str, str] = {}
    while True:
        try:
            last = dict(sink.pull().metadata)
        except (av.error.BlockingIOError, av.error.EOFError):
            return last
