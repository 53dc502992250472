"""Samples → one file in one format, with the implicit label where the format has a place for it.

Nothing in a file depends on the clock, on chance or on the machine's locale: the same samples give the same bytes
(DESIGN I8) for one build of FFmpeg. The label is in the file before it is signed, so the signature covers it.
"""

from __future__ import annotations

import io
import struct
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt
import soundfile
from av.codec.context import Flags

from provenance.audio import Samples, check_samples, encode_wav, pcm16
from provenance.formats.catalogue import MULAW, PCM, WAV, Codec, Format

LABEL: Final = "AIGC"  # GB 45438-2025: the name of the chunk, frame, comment or key
_BITEXACT: Final = {"fflags": "+bitexact"}  # no encoder version, no creation time, no random serial number
_FRAMES_AT_ONCE: Final = 1 << 16


def encode(samples: Samples, form: Format, sample_rate: int, label: str) -> bytes:
    """samples: float32[n], mono, −1…1, at `sample_rate`. Raises StampFailed for what is not a clip."""
    check_samples(samples, sample_rate)
    if form is WAV:
        return _with_chunk(encode_wav(samples, sample_rate), label)
    if form is MULAW:
        return _with_chunk(_mulaw(samples, sample_rate), label)
    if form is PCM:
        return pcm16(samples).astype("<i2").tobytes()
    if form.codec is None:
        raise ValueError(f"nothing encodes {form.name}")
    return _encode(samples, form.codec, sample_rate, label)


def _mulaw(samples: Samples, sample_rate: int) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, np.clip(samples, -1.0, 1.0), sample_rate, format="WAV", subtype="ULAW")
    return out.getvalue()


def _with_chunk(wav: bytes, label: str) -> bytes:
    """A RIFF chunk after the sound."""
    text = label.encode()
    chunk = LABEL.encode() + struct.pack("<I", len(text)) + text + b"\x00" * (len(text) % 2)
    # A `data` chunk of odd length is padded; libsndfile leaves that byte out at the end of a file.
    whole = wav + b"\x00" * (len(wav) % 2) + chunk
    return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]


def _encode(samples: Samples, codec: Codec, sample_rate: int, label: str) -> bytes:
    out = io.BytesIO()
    with av.open(
        out, "w", format=codec.muxer, options={**_BITEXACT, **dict(codec.muxer_options)}
    ) as container:
        stream = container.add_stream(
            codec.encoder, rate=sample_rate, layout="mono", options=dict(codec.encoder_options)
        )
        encoder = stream.codec_context
        encoder.flags |= Flags.bitexact
        encoder.thread_count = 1
        if codec.bits_per_sample is None:
            encoder.format = "s16"
            planes: npt.NDArray[Any] = pcm16(samples)[None]
        else:
            encoder.format = "flt" if codec.encoder == "libopus" else "fltp"
            encoder.bit_rate = int(codec.bits_per_sample * sample_rate)
            planes = samples[None]
        container.metadata[LABEL] = label
        at = 0
        for start in range(0, samples.size, _FRAMES_AT_ONCE):
            part = np.ascontiguousarray(planes[:, start : start + _FRAMES_AT_ONCE])
            frame = av.AudioFrame.from_ndarray(part, format=encoder.format.name, layout="mono")
            frame.sample_rate, frame.pts = sample_rate, at
            at += part.shape[1]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()
