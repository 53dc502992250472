"""What the keyed mark proves: with the fingerprint, that a stripped clip is ours; alone, no more than a suspicion."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
import soxr

from consent_service.proofs.records import ClipRecord, Standing, WatermarkTag
from provenance.audio import Samples, encode_wav
from provenance.errors import StampFailed
from provenance.findings import Findings
from provenance.fingerprint import MATCHES, fingerprint, similarity
from provenance.keyed.embed import embed
from provenance.keyed.marker import Marker
from provenance.keyed.pattern import Pattern
from provenance.stamp import Stamper
from provenance.verify import Integrity, Origin, Verifier
from tests.unit.provenance.authority import Authority
from tests.unit.provenance.conftest import RATE, Register, a_disclosure, speech_like

KEY = hashlib.sha256(b"the second epoch").digest()
KEYS = {1: hashlib.sha256(b"the first epoch").digest(), 2: KEY}
MARK = WatermarkTag(2, 77)


def record(sounds: bytes, **changes: object) -> ClipRecord:
    fields: dict[str, object] = {
        "clip_id": "d" * 32, "tenant": "studio", "voice_id": "voice_0123", "basis": "consent",
        "consent_id": "consent_9", "consent_version": 1, "purpose": "audiobook", "grantee": "studio", "audit_leaf": 3,
        "audio_sha256": "0" * 64, "seconds": 5.0, "created_at": 0.0, "watermark": MARK, "fingerprint": sounds,
    }  # fmt: skip
    return ClipRecord(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made() -> Samples:
    """A clip of ours, before it is stamped."""
    return embed(speech_like(5.0, seed=21), Pattern(KEY), MARK.tag)


@pytest.fixture(scope="module")
def register(made: Samples) -> Callable[..., Register]:
    ours = record(fingerprint(made))
    return lambda standing=Standing.LIVE, keys=KEYS: Register(standing, None, keys, {MARK: ours})


def as_mp3(samples: Samples) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="MP3")
    return file.getvalue()


STRIPPED = {
    "as a bare WAV": lambda made: encode_wav(np.clip(made, -1, 1), RATE),
    "as an MP3": as_mp3,
    "cut": lambda made: encode_wav(np.clip(made[30_000:], -1, 1), RATE),
    "5 % faster": lambda made: encode_wav(np.clip(soxr.resample(made, 1.05, 1.0), -1, 1), RATE),
    "at 16 kHz": lambda made: encode_wav(np.clip(soxr.resample(made, RATE, 16_000), -1, 1), 16_000),
}


@pytest.mark.parametrize("how", STRIPPED)
@pytest.mark.parametrize("standing", [Standing.LIVE, Standing.WITHDRAWN, Standing.DECOMMISSIONED])
def test_a_clip_whose_metadata_is_gone_is_still_ours(
    how: str, standing: Standing, made: Samples, register: Callable[..., Register], authority: Authority
) -> None:
    reader = register(standing)
    verdict = Verifier(authority.root_pem, reader).verify(STRIPPED[how](made))
    assert (verdict.origin, verdict.integrity, verdict.standing) == (
        Origin.OURS,
        Integrity.STRIPPED,
        standing,
    )
    assert reader.asked == [("d" * 32, "consent_9", 1)]


def test_a_mark_laid_on_other_speech_is_a_suspicion_and_no_more(
    register: Callable[..., Register], authority: Authority
) -> None:
    transplanted = embed(speech_like(5.0, seed=99), Pattern(KEY), MARK.tag)
    verdict = Verifier(authority.root_pem, register()).verify(encode_wav(np.clip(transplanted, -1, 1), RATE))
    assert (verdict.origin, verdict.standing) == (Origin.OUR_MARK, Standing.UNKNOWN)


def test_a_pattern_averaged_out_of_many_clips_does_not_make_a_recording_ours(
    register: Callable[..., Register], authority: Authority
) -> None:
    """The attack that the fingerprint is there for: what is alike in many clips is the pattern."""
    pattern, spectra = Pattern(KEY), []
    for seed in range(24):
        clip = embed(speech_like(5.0, seed=seed), pattern, MARK.tag)
        plain = soxr.resample(soxr.resample(clip, RATE, RATE), RATE, RATE)
        spectra.append(np.log(np.abs(_stft(plain)) + 1e-5))
    gain = np.exp(np.mean(spectra, axis=0) - np.mean(spectra))
    voice = speech_like(5.0, seed=500)
    forged = _istft(_stft(voice) * np.clip(gain, 0.5, 2.0), voice.size)
    verdict = Verifier(authority.root_pem, register()).verify(encode_wav(np.clip(forged, -1, 1), RATE))
    assert verdict.origin is not Origin.OURS


def test_without_keys_nothing_is_decoded(
    made: Samples, register: Callable[..., Register], authority: Authority
) -> None:
    data = encode_wav(np.clip(made, -1, 1), RATE)
    assert Verifier(authority.root_pem, register(keys={})).verify(data).origin is Origin.NO_MARK
    assert Verifier(authority.root_pem).verify(data).origin is Origin.NO_MARK


def test_a_tag_that_was_never_allotted_names_nobody(made: Samples, authority: Authority) -> None:
    verdict = Verifier(authority.root_pem, Register(keys=KEYS)).verify(encode_wav(np.clip(made, -1, 1), RATE))
    assert (verdict.origin, verdict.standing) == (Origin.OUR_MARK, Standing.UNKNOWN)
    assert verdict.evidence["keyed_mark"]["clip_id"] is None


def test_a_stamped_clip_keeps_its_keyed_mark_and_its_fingerprint(
    made: Samples, register: Callable[..., Register], authority: Authority, stamper: Stamper
) -> None:
    clip = stamper.stamp(np.clip(made, -1, 1), RATE, a_disclosure())
    samples, _ = soundfile.read(io.BytesIO(clip.data), dtype="float32")
    verdict = Verifier(authority.root_pem, register()).verify(encode_wav(samples, RATE))
    assert (verdict.origin, verdict.integrity) == (Origin.OURS, Integrity.STRIPPED)
    assert similarity(clip.fingerprint, samples) > 0.9


def test_a_foreign_manifest_of_ours_does_not_lend_its_consent_to_a_recognised_clip() -> None:
    """The sound is one clip's, the manifest another's: standing is asked for the clip that it sounds like."""
    found = Findings(
        sha256="", reading=None, manifest_present=True, names_us=True, fault=None, presence=None, registered=False,
        keyed=None,
    )  # fmt: skip
    assert found.origin is Origin.OUR_MARK
    assert found.named is None


def test_other_speech_does_not_match_a_fingerprint(made: Samples) -> None:
    sounds = fingerprint(made)
    assert similarity(sounds, made[RATE : 4 * RATE]) > 0.9
    for seed in range(8):
        assert similarity(sounds, speech_like(4.0, seed=seed)) < MATCHES


@pytest.mark.parametrize("stored", [b"", b"\x01", b"\x02abcd"])
def test_a_missing_or_unknown_fingerprint_matches_nothing(stored: bytes, made: Samples) -> None:
    assert similarity(stored, made) == 0.0


@pytest.mark.parametrize("mark", [None, WatermarkTag(3, 5)])
def test_a_clip_without_a_tag_or_a_key_is_not_marked_and_does_not_leave(mark: WatermarkTag | None) -> None:
    marker = Marker()
    marker.learn(2, KEY)
    with pytest.raises(StampFailed):
        marker.mark(speech_like(1.0), mark)


def test_a_marker_forgets_epochs_long_closed() -> None:
    marker = Marker()
    for epoch in range(1, 8):
        marker.learn(epoch, hashlib.sha256(bytes([epoch])).digest())
    assert not marker.knows(1)
    assert marker.knows(7)


def _stft(samples: Samples) -> np.ndarray:
    padded = np.concatenate([np.zeros(768, np.float32), samples, np.zeros(1_024, np.float32)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, 1_024)[::256]
    return np.fft.rfft(frames * np.sqrt(np.hanning(1_025)[:-1]), axis=1)


def _istft(spectra: np.ndarray, size: int) -> Samples:
    frames = np.fft.irfft(spectra, axis=1) * np.sqrt(np.hanning(1_025)[:-1]) / 2
    out = np.zeros(len(frames) * 256 + 1_024)
    for at, frame in enumerate(frames):
        out[at * 256 : at * 256 + 1_024] += frame
    return out[768 : 768 + size].astype(np.float32)


def test_a_mark_is_told_of_though_the_register_cannot_be_asked(made: Samples, authority: Authority) -> None:
    class HalfReachable(Register):
        def marked_clip(self, mark: WatermarkTag) -> ClipRecord | None:
            raise ConnectionError

    verdict = Verifier(authority.root_pem, HalfReachable(keys=KEYS)).verify(
        encode_wav(np.clip(made, -1, 1), RATE)
    )
    assert (verdict.origin, verdict.standing) == (Origin.OUR_MARK, Standing.UNKNOWN)


@pytest.mark.parametrize("seconds", [1.0, 2.0])
def test_too_little_sound_confirms_nothing(seconds: float, made: Samples) -> None:
    part = made[: int(seconds * RATE)]
    assert similarity(fingerprint(part), part) == 0.0
    assert similarity(fingerprint(made), part) == 0.0
