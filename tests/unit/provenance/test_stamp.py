"""Nothing unmarked leaves (DESIGN I4)."""

from __future__ import annotations

import io
import json
import pickle
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import c2pa
import numpy as np
import pytest

from provenance import presence, writing
from provenance.audio import Limits, Samples, decode
from provenance.errors import StampFailed
from provenance.presence import PRESENT, PresenceMark
from provenance.reading import read_manifest
from provenance.stamp import StampedClip, Stamper
from provenance.trust import TrustContext
from provenance.verify import Integrity, Origin, Verifier
from tests.unit.provenance.authority import Authority
from tests.unit.provenance.conftest import RATE, a_disclosure, speech_like


def test_a_stamped_clip_keeps_its_length_and_rate(clip: StampedClip) -> None:
    recording = decode(clip.data, Limits())
    assert (recording.samples.size, recording.sample_rate, clip.seconds) == (RATE, RATE, 1.0)


def test_a_stamped_clip_carries_the_presence_mark(clip: StampedClip) -> None:
    recording = decode(clip.data, Limits())
    assert PresenceMark().detect(recording.samples, RATE) >= PRESENT
    assert PresenceMark().detect(speech_like(1.0), RATE) < PRESENT


def test_the_mark_leaves_what_is_above_its_band_alone() -> None:
    before = speech_like(1.0)
    change = PresenceMark().embed(before, RATE) - before
    spectrum = np.abs(np.fft.rfft(change)) ** 2
    above = spectrum[np.fft.rfftfreq(change.size, 1 / RATE) > 2_500].sum()
    assert above / spectrum.sum() < 1e-3


def test_the_manifest_says_who_what_and_on_which_basis(clip: StampedClip, authority: Authority) -> None:
    reading = read_manifest(clip.data, TrustContext(authority.root_pem))
    assert reading is not None
    assert reading.says_synthetic
    assert reading.disclosure == a_disclosure()


def test_a_clip_without_consent_says_so_by_leaving_it_out(stamper: Stamper, authority: Authority) -> None:
    said = a_disclosure(basis="preset", consent_id=None, consent_version=None)
    reading = read_manifest(
        stamper.stamp(speech_like(0.2), RATE, said).data, TrustContext(authority.root_pem)
    )
    assert reading is not None
    assert reading.disclosure == said
    assert reading.assertion is not None
    assert "consent_id" not in reading.assertion


def test_the_signer_vouches_for_every_assertion(clip: StampedClip, authority: Authority) -> None:
    # A gathered assertion is one that the signer does not vouch for (C2PA 2.x, claim v2).
    context = TrustContext(authority.root_pem).context()
    with c2pa.Reader("audio/wav", io.BytesIO(clip.data), context=context) as reader:
        claim = json.loads(reader.crjson())["manifests"][0]["claim.v2"]
    created = {entry["url"].rpartition("/")[2] for entry in claim["created_assertions"]}
    assert created == {"c2pa.actions.v2", "org.vouch.disclosure", "c2pa.hash.data"}
    assert not claim["gathered_assertions"]


def test_nothing_of_the_clip_shows_in_a_repr(clip: StampedClip) -> None:
    assert "RIFF" not in repr(clip)
    assert len(repr(clip)) < 300


@pytest.mark.parametrize(
    ("samples", "code"),
    [
        (np.zeros(RATE, np.float32), "clip_silent"),
        (np.full(RATE, 1e-5, np.float32), "clip_silent"),
        (speech_like(0.05), "clip_too_short"),
        (np.zeros(0, np.float32), "stamp_failed"),
        (np.zeros((2, RATE), np.float32), "stamp_failed"),
        (np.zeros(RATE, np.float64), "stamp_failed"),
        (np.full(RATE, np.nan, np.float32), "stamp_failed"),
    ],
    ids=["silence", "below 16 bits", "too short", "empty", "stereo", "float64", "not a number"],
)
def test_what_cannot_be_marked_does_not_leave(stamper: Stamper, samples: Samples, code: str) -> None:
    with pytest.raises(StampFailed) as refused:
        stamper.stamp(samples, RATE, a_disclosure())
    assert refused.value.code == code


def test_a_clip_longer_than_a_window_is_marked_throughout_and_without_a_click(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = np.tile(speech_like(1.0), 7)[: int(6.3 * RATE)]
    in_one = PresenceMark().embed(before, RATE, strength=1.5) - before
    monkeypatch.setattr(presence, "_WINDOW_SECONDS", 2.0)
    in_windows = PresenceMark().embed(before, RATE, strength=1.5) - before
    assert np.abs(np.diff(in_windows)).max() < 1.5 * np.abs(np.diff(in_one)).max()
    marked = (before + in_windows).astype(np.float32)
    for start in range(0, marked.size - RATE, RATE // 2):
        assert PresenceMark().detect(marked[start : start + RATE], RATE) >= PRESENT


def test_speech_after_silence_is_marked(stamper: Stamper) -> None:
    quiet = np.zeros(RATE, np.float32)
    stamped = stamper.stamp(np.concatenate([quiet, speech_like(0.5), quiet]), RATE, a_disclosure())
    recording = decode(stamped.data, Limits())
    assert PresenceMark().detect(recording.samples, RATE) >= PRESENT


def test_a_clip_whose_mark_does_not_hold_does_not_leave(
    stamper: Stamper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence.PresenceMark, "add", lambda _self, samples, *_: samples)
    with pytest.raises(StampFailed, match="presence mark"):
        stamper.stamp(speech_like(0.5), RATE, a_disclosure())


def test_a_mark_that_is_too_weak_is_embedded_more_strongly(
    stamper: Stamper, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, weak = [], presence.PresenceMark.add

    def add(self: PresenceMark, samples: Samples, residual: Samples, strength: float) -> Samples:
        tried.append(strength)
        return weak(self, samples, residual, strength / 20)

    monkeypatch.setattr(presence.PresenceMark, "add", add)
    with pytest.raises(StampFailed, match="did not hold"):
        stamper.stamp(speech_like(0.5), RATE, a_disclosure())
    assert tried == sorted(set(tried))
    assert len(tried) > 1


def test_a_watermark_that_fails_in_any_way_stops_the_clip(
    stamper: Stamper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Samples:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(presence, "_residual", broken)
    with pytest.raises(StampFailed):
        stamper.stamp(speech_like(0.5), RATE, a_disclosure())


@dataclass(frozen=True)
class BrokenSigner:
    """A signer whose key provider answers `answer`, or raises it."""

    chain: bytes
    answer: bytes | Exception

    def certificate_chain(self) -> bytes:
        return self.chain

    def sign_manifest(self, message: bytes, chain: bytes | None = None) -> bytes:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("answer", [b"", b"\x01" * 64, b"\x01" * 10, ConnectionError("key service is down")])
def test_a_clip_that_the_key_did_not_sign_does_not_leave(
    authority: Authority, answer: bytes | Exception
) -> None:
    signer = BrokenSigner(authority.signer.certificate_chain(), answer)
    with pytest.raises(StampFailed):
        Stamper(signer).stamp(speech_like(0.2), RATE, a_disclosure())


def test_a_failing_key_service_is_named_and_not_logged(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    signer = BrokenSigner(authority.signer.certificate_chain(), ConnectionError("credentials=abc"))
    with pytest.raises(StampFailed, match="ConnectionError") as refused:
        Stamper(signer).stamp(speech_like(0.2), RATE, a_disclosure())
    assert "credentials=abc" not in str(refused.value) + caplog.text


@pytest.mark.parametrize("chain", [b"", b"not a certificate", b"\xff\xfe"])
def test_a_chain_that_is_no_chain_stops_the_clip(chain: bytes) -> None:
    with pytest.raises(StampFailed):
        Stamper(BrokenSigner(chain, b"\x01" * 64)).stamp(speech_like(0.2), RATE, a_disclosure())


def _flip_sound(data: bytes) -> bytes:
    at = data.index(b"data") + 100
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _flip_padding(data: bytes) -> bytes:
    at = data.rindex(b"cpad") + 200
    return data[:at] + b"\x01" + data[at + 1 :]


def _drop_manifest(data: bytes) -> bytes:
    end = data.index(b"C2PA")
    return data[:4] + struct.pack("<I", end - 8) + data[8:end]


@pytest.mark.parametrize("damage", [_flip_sound, _flip_padding, _drop_manifest])
def test_what_was_signed_is_read_again_before_it_leaves(
    stamper: Stamper, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes]
) -> None:
    whole = writing.ManifestWriter._signed

    def damaged(*arguments: object, **how: bool) -> tuple[object, ...]:
        data, *rest = whole(*arguments, **how)  # type: ignore[arg-type]
        return damage(data), *rest

    monkeypatch.setattr(writing.ManifestWriter, "_signed", damaged)
    with pytest.raises(StampFailed):
        stamper.stamp(speech_like(0.2), RATE, a_disclosure())


def test_a_manifest_that_says_something_else_does_not_leave(
    stamper: Stamper, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = writing.definition(a_disclosure(voice_id="voice_of_another"))
    monkeypatch.setattr(writing, "definition", lambda *_, **__: other)
    with pytest.raises(StampFailed, match="does not say"):
        stamper.stamp(speech_like(0.2), RATE, a_disclosure())


def test_threads_share_a_stamper(stamper: Stamper, verifier: Verifier) -> None:
    together = threading.Barrier(2)

    def one(seed: int) -> list[str]:
        together.wait()
        said = [a_disclosure(clip_id=f"{seed:016x}{n:016x}") for n in range(4)]
        clips = [stamper.stamp(speech_like(0.3, seed), RATE, one) for one in said]
        verdicts = [verifier.verify(clip.data) for clip in clips]
        assert all((v.origin, v.integrity) == (Origin.OURS, Integrity.INTACT) for v in verdicts)
        assert [v.evidence["disclosure"]["clip_id"] for v in verdicts] == [one.clip_id for one in said]
        return [clip.sha256 for clip in clips]

    with ThreadPoolExecutor(2) as threads:
        digests = [digest for result in threads.map(one, (1, 2)) for digest in result]
    assert len(set(digests)) == 8


def test_a_stamper_goes_to_another_process(stamper: Stamper, verifier: Verifier) -> None:
    copy: Stamper = pickle.loads(pickle.dumps(stamper))
    assert verifier.verify(copy.stamp(speech_like(0.2), RATE, a_disclosure()).data).origin is Origin.OURS


def test_a_forked_process_makes_a_context_of_its_own(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = TrustContext(authority.root_pem)
    ours = trust.context()
    assert trust.context() is ours
    monkeypatch.setattr("provenance.trust.os.getpid", lambda: -1)
    assert trust.context() is not ours


def test_a_rotated_leaf_and_root_are_taken_up_without_a_restart(authority: Authority) -> None:
    class Rotating:
        now = authority.signer

        def certificate_chain(self) -> bytes:
            return self.now.certificate_chain()

        def sign_manifest(self, message: bytes, chain: bytes | None = None) -> bytes:
            return self.now.sign_manifest(message)

    signer, later = Rotating(), Authority.create("Next root")
    stamper = Stamper(signer)
    first = stamper.stamp(speech_like(0.2), RATE, a_disclosure())
    signer.now = later.signer
    second = stamper.stamp(speech_like(0.2), RATE, a_disclosure())
    both = Verifier(authority.root_pem + later.root_pem)
    assert {both.verify(one.data).origin for one in (first, second)} == {Origin.OURS}
    assert Verifier(authority.root_pem).verify(second.data).origin is Origin.SYNTHETIC
