"""What people upload: good recordings pass as plain WAV, everything else is refused with its code."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_service.errors import RecordingRejected
from consent_service.examination.recordings import MAX_BYTES, read_recording
from tests.assets.voiced import voiced


def encoded(samples: np.ndarray, rate: int = 16_000, **how: str) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=how.get("format", "WAV"), subtype=how.get("subtype"))
    return out.getvalue()


def heard(file: bytes) -> np.ndarray:
    samples: np.ndarray = soundfile.read(io.BytesIO(file))[0]
    return samples


@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_good_recording_of_any_format_becomes_mono_wav(format: str) -> None:
    recording = read_recording(voiced(4.0, format=format))
    samples, rate = soundfile.read(io.BytesIO(recording.wav))
    assert samples.ndim == 1
    assert rate == recording.sample_rate == 16_000
    assert recording.seconds == pytest.approx(4.0, abs=0.1)


def test_stereo_is_mixed_and_tags_stay_behind() -> None:
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", 16_000, 2, format="FLAC") as file:
        file.artist = "Somebody Known"
        left, _ = soundfile.read(io.BytesIO(voiced(4.0)))
        file.write(np.stack([left, left / 2], axis=1))
    assert b"Somebody Known" in out.getvalue()
    wav = read_recording(out.getvalue()).wav
    assert b"Somebody" not in wav
    assert soundfile.info(io.BytesIO(wav)).channels == 1


@pytest.mark.parametrize(
    ("upload", "code"),
    [
        (b"", "recording_unreadable"),
        (b"not audio at all" * 100, "recording_unreadable"),
        (voiced(4.0)[:30], "recording_unreadable"),
        (voiced(2.9), "recording_too_short"),
        (voiced(60.5, rate=8000), "recording_too_long"),
        (voiced(4.0, level=0.0001), "recording_silent"),
        (encoded(0.3 * np.sin(np.arange(64_000) / 20)), "recording_no_speech"),
        (encoded(np.concatenate([heard(voiced(3.0))[:24_000], np.zeros(96_000)])), "recording_no_speech"),
        (encoded(heard(voiced(6.0)) * 0.06), "recording_too_quiet"),
        (encoded(np.zeros(64_000)), "recording_silent"),
        (encoded(np.sign(np.sin(np.arange(64_000) / 20))), "recording_clipped"),
        (encoded(np.full(64_000, np.nan), subtype="FLOAT"), "recording_unreadable"),
        (encoded(np.full(64_000, np.inf), subtype="FLOAT"), "recording_unreadable"),
        (encoded(np.ones((64_000, 4)) * 0.1), "recording_unreadable"),
        (encoded(np.ones(20_000) * 0.1, rate=4_000), "recording_unreadable"),
        (b"\0" * (MAX_BYTES + 1), "recording_too_large"),
    ],
)
def test_a_bad_recording_is_refused_with_its_code(upload: bytes, code: str) -> None:
    with pytest.raises(RecordingRejected) as refused:
        read_recording(upload)
    assert refused.value.code == code
    # A decoder's words may quote the upload.
    assert refused.value.__context__ is None or refused.value.__suppress_context__


def test_a_header_that_lies_about_its_length_does_not_get_its_way() -> None:
    whole = bytearray(voiced(4.0))
    at = whole.index(b"data") + 4
    whole[at : at + 4] = (0x7FFFFFF0).to_bytes(4, "little")
    assert read_recording(bytes(whole)).seconds == pytest.approx(4.0, abs=0.1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 200), st.binary(min_size=1, max_size=8))
def test_a_damaged_header_is_refused_or_read_but_never_more(at: int, junk: bytes) -> None:
    whole = bytearray(voiced(3.2, rate=8000))
    whole[at : at + len(junk)] = junk
    with contextlib.suppress(RecordingRejected):
        read_recording(bytes(whole))
