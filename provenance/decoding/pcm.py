"""Compressed audio → samples, block by block, through FFmpeg (PyAV), on bytes that anyone may have made.

Memory goes by the block, not by the file. The demuxer is named, the decoders are listed, and no protocol is allowed:
a playlist, a reference to another file or an address inside a file leads nowhere.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from provenance.audio import Limits, Samples
from provenance.errors import AudioTooLarge, AudioUnreadable
from provenance.formats.sniff import Sniffed, sniff

READABLE: Final = "not audio that can be read; hand in WAV, FLAC, MP3, M4A, AAC or Ogg (Opus, Vorbis)"
_DECODERS: Final = (
    "pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_mulaw", "pcm_alaw",
    "flac", "alac", "aac", "mp3", "mp3float", "opus", "vorbis",
)  # fmt: skip
_SAMPLE_RATES: Final = range(4_000, 192_001)
_MOST_CHANNELS: Final = 8
_MOST_STREAMS: Final = 8
_MOST_BROKEN: Final = 64  # packets that may be skipped before a file counts as unreadable
_LOUDEST: Final = 4.0  # four times full scale: more is no sound, and its square overflows


def decode_blocks(data: bytes, limits: Limits) -> Iterator[tuple[int, Samples]]:
    """(sample rate, float32[n], mono) of each block. Raises AudioUnreadable or AudioTooLarge."""
    form = sniff(data)
    if form is None:
        raise AudioUnreadable(READABLE)
    options = {
        "protocol_whitelist": "",
        "format_whitelist": f"{form.demuxer},mov,mp4,m4a,3gp,3g2,mj2",
        "codec_whitelist": ",".join(_DECODERS),
        "max_streams": str(_MOST_STREAMS),
    }
    try:
        with av.open(io.BytesIO(data), format=form.demuxer, options=options) as container:
            if not isinstance(container, InputContainer) or not container.streams.audio:
                raise AudioUnreadable("the file holds no audio")
            yield from _blocks(container, container.streams.audio[0], form, limits)
    except (av.FFmpegError, ValueError, TypeError, OverflowError, OSError) as exc:
        raise AudioUnreadable(READABLE) from exc


def _blocks(
    container: InputContainer, stream: AudioStream, form: Sniffed, limits: Limits
) -> Iterator[tuple[int, Samples]]:
    # The whitelist binds FFmpeg's own probing; the decoder that PyAV opens is ours to refuse.
    if stream.codec_context is None or stream.codec_context.name not in _DECODERS:
        raise AudioUnreadable(READABLE)
    rate, channels = int(stream.rate or 0), int(stream.channels or 0)
    if rate not in _SAMPLE_RATES or not 1 <= channels <= _MOST_CHANNELS:
        raise AudioUnreadable(
            f"sound of 4 to 192 kHz and at most {_MOST_CHANNELS} channels is looked at",
            code="audio_layout_unsupported",
        )
    most = min(int(limits.max_seconds * rate), limits.max_frames)
    too_long = AudioTooLarge(f"sound of at most {most // rate} seconds is looked at", code="audio_too_long")
    declared = stream.duration * stream.time_base if stream.duration and stream.time_base else 0
    if form.exact and declared > limits.max_seconds:
        raise too_long
    stream.codec_context.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    to_float = AudioResampler(format="fltp")
    frames = broken = 0
    for packet in container.demux(stream):
        try:
            decoded = packet.decode()
        except av.FFmpegError:
            broken += 1
            if broken > _MOST_BROKEN:
                raise
            continue
        for frame in decoded:
            for block in to_float.resample(frame):
                samples = block.to_ndarray().astype(np.float32, copy=False)
                frames += samples.shape[1]
                # Counted as it comes: a header may promise less than the stream decodes to.
                if frames > most:
                    raise too_long
                yield rate, _mono(samples)
    if not frames:
        raise AudioUnreadable("the file holds no audio")


def _mono(samples: Samples) -> Samples:
    """float32[channels, n] → float32[n], finite and bounded."""
    with np.errstate(over="ignore", invalid="ignore"):
        mixed: Samples = samples.mean(axis=0, dtype=np.float32)
    return np.clip(np.nan_to_num(mixed, posinf=0.0, neginf=0.0), -_LOUDEST, _LOUDEST)
