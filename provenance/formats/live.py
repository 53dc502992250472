"""Encoding while the sound is still being made: chunks in, bytes to send out.

The label goes out first, where the format has a place for it. What can only be written by one who knows its end
(FLAC, M4A) is not offered as a stream. However the sound is divided into chunks, the bytes are the same (DESIGN I8).
"""

from __future__ import annotations

import io
import struct
from typing import Final, Protocol

import av
import numpy as np
import soxr
from av.codec.context import Flags

from provenance.audio import Samples, pcm16
from provenance.errors import FormatUnsupported
from provenance.formats.catalogue import MP3, OPUS, PCM, WAV, Codec, Format
from provenance.formats.delivery import Delivery
from provenance.formats.encode import LABEL

LIVE: Final[tuple[Format, ...]] = (PCM, WAV, MP3, OPUS)
_ENDLESS: Final = 0xFFFF_FFFF  # a RIFF size that says "until the end of the stream"
# No Xing header, which needs the end; a page of Ogg for each packet, so that none waits for others.
_MUXER: Final = {
    "mp3": {"write_xing": "0", "id3v2_version": "4"},
    "ogg": {"page_duration": "1"},
}


class LiveEncoder(Protocol):
    """One clip on its way out. Not thread-safe."""

    def feed(self, samples: Samples) -> bytes:
        """samples: float32[n], mono, −1…1. What can be sent now; the first call also gives what goes before."""
        ...

    def flush(self) -> bytes:
        """The rest. The encoder is used up."""
        ...


def live_encoder(wanted: Delivery, sample_rate: int, label: str) -> LiveEncoder:
    """sample_rate: of what will be fed, in Hz. Raises FormatUnsupported for what cannot be streamed."""
    check_live(wanted)
    encoder: LiveEncoder
    if wanted.format.codec is None:
        encoder = _Raw(b"" if wanted.format is PCM else _endless_wav(wanted.sample_rate, label))
    else:
        encoder = _Coded(wanted.format.codec, wanted.sample_rate, label)
    return (
        encoder if sample_rate == wanted.sample_rate else _Resampled(encoder, sample_rate, wanted.sample_rate)
    )


def check_live(wanted: Delivery) -> None:
    """Raises FormatUnsupported."""
    if wanted.format not in LIVE:
        names = ", ".join(one.name for one in LIVE)
        raise FormatUnsupported(f"{wanted.format.name} cannot be streamed; ask for one of {names}")
    if wanted.loudness is not None:
        raise FormatUnsupported("loudness is measured over the whole clip, so a stream has none to offer")


class _Raw:
    """16-bit samples, little-endian."""

    def __init__(self, before: bytes) -> None:
        self._before = before

    def feed(self, samples: Samples) -> bytes:
        before, self._before = self._before, b""
        return before + pcm16(samples).astype("<i2").tobytes()

    def flush(self) -> bytes:
        return self.feed(np.zeros(0, np.float32))


class _Coded:
    """Through FFmpeg, one codec frame at a time: an encoder's look-ahead is all that is held back."""

    def __init__(self, codec: Codec, sample_rate: int, label: str) -> None:
        self._out = io.BytesIO()
        options = {"fflags": "+bitexact", "flush_packets": "1", **_MUXER[codec.muxer]}
        self._container = av.open(self._out, "w", format=codec.muxer, options=options)
        self._stream = self._container.add_stream(
            codec.encoder, rate=sample_rate, layout="mono", options=dict(codec.encoder_options)
        )
        self._encoder = self._stream.codec_context
        self._encoder.flags |= Flags.bitexact
        self._encoder.thread_count = 1
        self._encoder.format = "flt" if codec.encoder == "libopus" else "fltp"
        self._encoder.bit_rate = int((codec.bits_per_sample or 2) * sample_rate)
        self._container.metadata[LABEL] = label
        self._rate = sample_rate
        self._at = 0
        self._waiting: Samples = np.zeros(0, np.float32)

    def feed(self, samples: Samples) -> bytes:
        waiting = np.concatenate([self._waiting, samples])
        self._encoder.open(strict=False)
        size = self._encoder.frame_size
        whole = waiting.size // size * size
        self._waiting = waiting[whole:]
        for start in range(0, whole, size):
            self._encode(waiting[start : start + size])
        return self._written()

    def flush(self) -> bytes:
        self.feed(np.zeros(0, np.float32))
        if self._waiting.size:
            self._encode(self._waiting)
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._written()

    def _encode(self, samples: Samples) -> None:
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[None]), format=self._encoder.format.name, layout="mono"
        )
        frame.sample_rate, frame.pts = self._rate, self._at
        self._at += samples.size
        self._container.mux(self._stream.encode(frame))

    def _written(self) -> bytes:
        written = self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        return written


class _Resampled:
    """Another rate than the sound has."""

    def __init__(self, inner: LiveEncoder, rate: int, wanted: int) -> None:
        self._inner = inner
        self._resampler = soxr.ResampleStream(rate, wanted, 1, dtype="float32")

    def feed(self, samples: Samples) -> bytes:
        return self._inner.feed(self._resample(samples, last=False))

    def flush(self) -> bytes:
        return self._inner.feed(self._resample(np.zeros(0, np.float32), last=True)) + self._inner.flush()

    def _resample(self, samples: Samples, *, last: bool) -> Samples:
        resampled: Samples = np.clip(self._resampler.resample_chunk(samples, last=last), -1.0, 1.0)
        return resampled


def _endless_wav(sample_rate: int, label: str) -> bytes:
    """A header for 16-bit mono, with the label before the sound, because nothing can be said after it."""
    text = label.encode()
    chunks = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    chunks += LABEL.encode() + struct.pack("<I", len(text)) + text + b"\x00" * (len(text) % 2)
    return b"RIFF" + struct.pack("<I", _ENDLESS) + b"WAVE" + chunks + b"data" + struct.pack("<I", _ENDLESS)
