"""Audio in and out of memory: PCM 16-bit WAV out, bounded decoding in.

Everything is in memory: a recording or a clip never touches a disk here. Sizes are checked before anything is
decoded, and decoding stops at the limit whatever the header claims.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile

from provenance.errors import AudioTooLarge, AudioUnreadable, StampFailed

Samples: TypeAlias = npt.NDArray[np.float32]  # float32[n], mono, −1…1

WAV: Final = "audio/wav"
_BLOCK_FRAMES: Final = 65_536
_MAX_CHANNELS: Final = 8
_SAMPLE_RATES: Final = range(4_000, 192_001)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of an upload is looked at."""

    max_bytes: int = 64 * 1024 * 1024
    max_seconds: float = 600.0
    max_frames: int = 600 * 48_000  # memory goes by frames: ten minutes at 192 kHz would take half a gigabyte


@dataclass(frozen=True, slots=True)
class Recording:
    """Decoded audio, mixed down to one channel."""

    samples: Samples = field(repr=False)
    sample_rate: int

    @property
    def seconds(self) -> float:
        return self.samples.size / self.sample_rate


def check_samples(samples: Samples, sample_rate: int) -> None:
    """Raises StampFailed for what is not a clip: a non-empty mono float32 array of finite samples."""
    if samples.dtype != np.float32 or samples.ndim != 1 or samples.size == 0:
        raise StampFailed("a clip is a non-empty float32 array of one dimension")
    if sample_rate not in _SAMPLE_RATES:
        raise StampFailed(f"a sample rate of {sample_rate} Hz is not supported")
    if not np.isfinite(samples).all():
        raise StampFailed("the clip holds samples that are not finite")


def encode_wav(samples: Samples, sample_rate: int) -> bytes:
    """PCM 16-bit WAV. samples: float32[n], mono, −1…1. Raises StampFailed for anything else."""
    check_samples(samples, sample_rate)
    out = io.BytesIO()
    soundfile.write(out, pcm16(samples), sample_rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


def pcm16(samples: Samples) -> npt.NDArray[np.int16]:
    """The rounding that WAV, FLAC and raw PCM share, so that they hold the same samples."""
    scaled: npt.NDArray[np.int16] = np.rint(np.clip(samples, -1.0, 1.0) * np.float32(32_767)).astype(np.int16)
    return scaled


def check_size(data: bytes, limits: Limits) -> None:
    """Raises AudioTooLarge, or AudioUnreadable for an empty upload. Nothing is parsed."""
    if len(data) > limits.max_bytes:
        raise AudioTooLarge(f"the file is larger than {limits.max_bytes} bytes")
    if not data:
        raise AudioUnreadable("the file is empty")


def decode(data: bytes, limits: Limits) -> Recording:
    """Decode WAV, FLAC, MP3 or Ogg. Raises AudioUnreadable or AudioTooLarge."""
    check_size(data, limits)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            return _read_bounded(file, limits)
    except (soundfile.LibsndfileError, ValueError, RuntimeError, OSError) as exc:
        raise AudioUnreadable("not audio that can be read; hand in WAV, FLAC, MP3 or Ogg") from exc


def _read_bounded(file: soundfile.SoundFile, limits: Limits) -> Recording:
    rate, channels = int(file.samplerate), int(file.channels)
    if rate not in _SAMPLE_RATES or not 1 <= channels <= _MAX_CHANNELS:
        raise AudioUnreadable("the sample rate or the number of channels is out of range")
    most = min(int(limits.max_seconds * rate), limits.max_frames)
    # Block by block, because a header may promise fewer frames than the stream decodes to.
    blocks: list[Samples] = []
    frames = 0
    while True:
        block = file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
        if not block.shape[0]:
            break
        frames += block.shape[0]
        if frames > most:
            raise AudioTooLarge(f"the audio is longer than {most / rate:.0f} seconds")
        blocks.append(block.mean(axis=1, dtype=np.float32))
    if not frames:
        raise AudioUnreadable("the file holds no audio")
    return Recording(np.nan_to_num(np.concatenate(blocks), posinf=0.0, neginf=0.0), rate)
