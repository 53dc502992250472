"""Recordings that people bring: read from memory, checked, and rewritten as plain WAV.

Nothing here touches a disk. What goes on is decoded samples in a fresh file: whatever else an upload carried
(tags, cover art, a location) stays behind. No error holds more than a code and what to do about it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import webrtcvad

from consent_service.errors import RecordingRejected

MAX_BYTES: Final = 32 * 1024 * 1024
MIN_SECONDS: Final = 3.0
MAX_SECONDS: Final = 60.0
MIN_RATE, MAX_RATE, MAX_CHANNELS = 8_000, 96_000, 2
SILENCE_RMS: Final = 10 ** (-50 / 20)  # of full scale; speech at arm's length lies near -30 dB
QUIET_SPEECH_RMS: Final = 10 ** (
    -42 / 20
)  # where somebody speaks: below, room and hiss decide what a model hears
MIN_SPEECH_SECONDS: Final = 2.0  # of all that is sent; two of the speaker model's windows
CLIPPED_SHARE: Final = 0.01  # of all samples at full scale; a loud but clean take stays far below
_FULL_SCALE: Final = 0.999
SPEECH_RATE: Final = 16_000  # what speech models take, in Hz
_VAD_STRICTNESS: Final = 3  # of 0-3: hum and hiss are not speech
_VAD_FRAME: Final = SPEECH_RATE * 30 // 1000

Samples: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recording:
    """A usable recording. `wav`: mono, 16-bit PCM, at the rate at which it was made; `speech`: int16 little-endian,
    mono, at SPEECH_RATE, for models; `level_dbfs`: RMS where somebody speaks."""

    wav: bytes = field(repr=False)
    speech: bytes = field(repr=False)
    seconds: float
    speech_seconds: float
    level_dbfs: float
    sample_rate: int


def read_part(encoded: bytes, part: Literal["reference", "statement"]) -> Recording:
    """One of the two recordings of an enrolment. Raises as `read_recording`, and says which of them it is."""
    try:
        return read_recording(encoded)
    except RecordingRejected as refused:
        raise RecordingRejected(f"the {part}: {refused.message}", code=refused.code) from None


def read_recording(encoded: bytes) -> Recording:
    """Decode and check an uploaded file (WAV, FLAC, OGG or MP3).

    Raises RecordingRejected with code recording_too_large, recording_unreadable, recording_too_short,
    recording_too_long, recording_silent, recording_clipped, recording_no_speech or recording_too_quiet.
    """
    if len(encoded) > MAX_BYTES:
        raise _rejected("too_large", f"send at most {MAX_BYTES // 1024 // 1024} MiB")
    samples, rate = _decode(encoded)
    seconds = samples.size / rate
    if seconds < MIN_SECONDS:
        raise _rejected("too_short", f"record at least {MIN_SECONDS:.0f} seconds of speech")
    if float(np.sqrt(np.mean(np.square(samples), dtype=np.float64))) < SILENCE_RMS:
        raise _rejected("silent", "nothing can be heard; check the microphone and record again")
    if float(np.mean(np.abs(samples) >= _FULL_SCALE)) > CLIPPED_SHARE:
        raise _rejected("clipped", "the recording is distorted; lower the input level and record again")
    pcm = _at_speech_rate(samples, rate)
    spoken = pcm.reshape(-1, _VAD_FRAME)[_voiced(pcm)]
    speech_seconds = spoken.size / SPEECH_RATE
    if speech_seconds < MIN_SPEECH_SECONDS:
        raise _rejected("no_speech", f"somebody must speak for {MIN_SPEECH_SECONDS:.0f} seconds at least")
    level = float(np.sqrt(np.mean(np.square(spoken / 32768.0))))
    if level < QUIET_SPEECH_RMS:
        raise _rejected("too_quiet", "the voice is too quiet; come closer to the microphone and record again")
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format="WAV", subtype="PCM_16")
    return Recording(
        out.getvalue(), pcm.tobytes(), seconds, speech_seconds, 20 * float(np.log10(level)), rate
    )


def _at_speech_rate(samples: Samples, rate: int) -> npt.NDArray[np.int16]:
    """Cut to whole frames of the voice activity detector."""
    resampled = np.clip(soxr.resample(samples, rate, SPEECH_RATE), -1.0, 1.0)
    whole = resampled[: resampled.size // _VAD_FRAME * _VAD_FRAME]
    return np.ascontiguousarray(np.round(whole * 32767.0), dtype="<i2")


def _voiced(pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.bool_]:
    """Which frames hold speech (WebRTC's detector, which knows no language)."""
    detector = webrtcvad.Vad(_VAD_STRICTNESS)
    frames = pcm.reshape(-1, _VAD_FRAME)
    return np.array([detector.is_speech(frame.tobytes(), SPEECH_RATE) for frame in frames], dtype=bool)


def _decode(encoded: bytes) -> tuple[Samples, int]:
    try:
        with soundfile.SoundFile(io.BytesIO(encoded)) as file:
            rate = int(file.samplerate)
            usable = MIN_RATE <= rate <= MAX_RATE and 1 <= file.channels <= MAX_CHANNELS
            # The header's length is a claim: read up to the bound and one more, whatever it says.
            frames = (
                file.read(int(MAX_SECONDS * rate) + 1, dtype="float32", always_2d=True) if usable else None
            )
    except (soundfile.SoundFileError, RuntimeError, ValueError, OSError, TypeError):
        # The decoder's own words may quote the upload; they are not passed on.
        raise _rejected("unreadable", "send a WAV, FLAC, OGG or MP3 file") from None
    if frames is None or not np.isfinite(frames).all():
        raise _rejected("unreadable", "send one or two channels at 8 to 96 kHz")
    if len(frames) > MAX_SECONDS * rate:
        raise _rejected("too_long", f"send at most {MAX_SECONDS:.0f} seconds")
    return np.ascontiguousarray(frames.mean(axis=1, dtype=np.float32)), rate


def _rejected(what: str, message: str) -> RecordingRejected:
    return RecordingRejected(message, code=f"recording_{what}")
