"""What happens to a clip on its way: codecs, noise, other speeds. Each takes and gives float32[n], mono, 24 kHz."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import av
import numpy as np
import soxr

from benchmarks.watermark.corpus import RATE
from provenance.audio import Samples

Attack = Callable[[Samples], Samples]


def coded(container: str, codec: str, bit_rate: int, rate: int = RATE) -> Attack:
    """Through a lossy codec and back."""

    def attack(samples: Samples) -> Samples:
        file = io.BytesIO()
        with av.open(file, "w", format=container) as out:
            stream = out.add_stream(codec, rate=rate)
            stream.bit_rate, stream.layout = bit_rate, "mono"
            resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=rate)
            for frame in [*resampler.resample(_frame(samples)), *resampler.resample(None)]:
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        file.seek(0)
        with av.open(file) as coded_file:
            back = av.AudioResampler(format="flt", layout="mono", rate=RATE)
            frames = [part for frame in coded_file.decode(audio=0) for part in back.resample(frame)]
            frames += back.resample(None)
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])

    return attack


def noise(decibels: float) -> Attack:
    def attack(samples: Samples) -> Samples:
        hiss = np.random.default_rng(samples.size).standard_normal(samples.size)
        level = np.sqrt(np.square(samples, dtype=np.float64).mean() / 10 ** (decibels / 10))
        return (samples + hiss * level).astype(np.float32)

    return attack


def through(rate: int) -> Attack:
    return lambda samples: soxr.resample(soxr.resample(samples, RATE, rate), rate, RATE)


def speed(factor: float) -> Attack:
    """Tempo and pitch together, as a tape."""
    return lambda samples: soxr.resample(samples, RATE * factor, RATE)


def tempo(factor: float) -> Attack:
    """Faster at the same pitch (WSOLA)."""

    def attack(samples: Samples) -> Samples:
        graph = av.filter.Graph()
        source = graph.add_abuffer(
            sample_rate=RATE,
            format="flt",
            layout="mono",
            time_base=f"1/{RATE}",  # type: ignore[arg-type]
        )
        stretch, sink = graph.add("atempo", str(factor)), graph.add("abuffersink")
        source.link_to(stretch)
        stretch.link_to(sink)
        graph.configure()
        source.push(_frame(samples, "flt"))
        source.push(None)
        parts: list[Samples] = []
        while True:
            try:
                parts.append(sink.pull().to_ndarray().reshape(-1))
            except (av.error.EOFError, av.error.BlockingIOError):
                return np.concatenate(parts).astype(np.float32)

    return attack


def pitch(cents: float) -> Attack:
    """Higher at the same tempo."""

    def attack(samples: Samples) -> Samples:
        shifted = speed(2 ** (cents / 1200))(samples)
        return tempo(shifted.size / samples.size)(shifted)

    return attack


ATTACKS: Final[Mapping[str, Attack]] = MappingProxyType(
    {
        "none": lambda samples: samples,
        "−6 dB": lambda samples: samples * np.float32(0.5),
        "16 kHz": through(16_000),
        "8 kHz": through(8_000),
        "MP3 64 kbit/s": coded("mp3", "libmp3lame", 64_000),
        "Opus 24 kbit/s": coded("ogg", "libopus", 24_000, 48_000),
        "Opus 12 kbit/s": coded("ogg", "libopus", 12_000, 48_000),
        "noise 20 dB": noise(20),
        "noise 10 dB": noise(10),
        "speed +5 %": speed(1.05),
        "speed −5 %": speed(0.95),
        "tempo +5 %": tempo(1.05),
        "tempo −5 %": tempo(0.95),
        "pitch +50 cents": pitch(50),
        "pitch −50 cents": pitch(-50),
    }
)


def _frame(samples: Samples, kind: str = "s16") -> av.AudioFrame:
    data = samples[None] if kind == "flt" else (np.clip(samples, -1, 1) * 32_767).astype(np.int16)[None]
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data), format=kind, layout="mono")
    frame.sample_rate, frame.pts = RATE, 0
    return frame
