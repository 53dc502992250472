"""A clip in another format is the same clip: its sound, its marks, its consent, and all that a new clip carries."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from consent_service.proofs.records import Standing, WatermarkTag
from provenance import container
from provenance.decoding.pool import shared
from provenance.derive import Signed
from provenance.errors import StampFailed
from provenance.formats.catalogue import FORMATS, MULAW, PCM, WAV, Format
from provenance.formats.decode import decode_own
from provenance.formats.delivery import Delivery, delivery
from provenance.formats.encode import encode
from provenance.formats.live import live_encoder
from provenance.keyed.embed import embed
from provenance.keyed.pattern import Pattern
from provenance.keyed.search import find_mark
from provenance.labels.aigc import aigc_label
from provenance.presence import PRESENT, PresenceMark
from provenance.reading import read_manifest
from provenance.stamp import StampedClip, Stamper
from provenance.transcode import Original
from provenance.trust import TrustContext
from provenance.verdict import Integrity, Note, Origin
from provenance.verify import Verifier
from tests.unit.provenance.authority import Authority
from tests.unit.provenance.conftest import RATE, Register, a_disclosure, speech_like

KEY, MARK = b"\x07" * 32, WatermarkTag(epoch=3, tag=4_711)
SAID = a_disclosure(keyed_epoch=MARK.epoch)
SPOKEN = embed(speech_like(6.0, seed=12), Pattern(KEY), MARK.tag)
NOW = 1_795_000_000.0


def original(clip: StampedClip) -> Original:
    return Original(Signed(clip.data, clip.manifest), clip.media_type, clip.seconds)


def into(stamper: Stamper, clip: Original, wanted: Delivery) -> Signed:
    made = stamper.transcode(clip, wanted, f"{SAID.clip_id}-{wanted.format.name}-{wanted.sample_rate}", NOW)
    assert made is not None
    return made


@pytest.fixture(scope="module")
def wav(stamper: Stamper) -> Original:
    return original(stamper.stamp(SPOKEN, RATE, SAID))


@pytest.mark.parametrize("begins", [b"\xff\xff", b"\xff\xfb", b"ID3\x04", b"fLaC"])
def test_raw_samples_stay_raw_whatever_they_look_like(
    stamper: Stamper, authority: Authority, wav: Original, begins: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sound that begins a hair below zero, FFFF, begins like an MP3."""

    def alike(*asked: Any) -> bytes:
        return begins + encode(*asked)[len(begins) :]

    monkeypatch.setattr("provenance.marking.encode", alike)
    made = into(stamper, wav, Delivery(PCM, RATE))
    assert made.data.startswith(begins)
    assert len(made.data) == 2 * len(SPOKEN)
    assert made.manifest is not None
    verdict = Verifier(authority.root_pem, Register(knows=None)).verify(made.data, made.manifest)
    assert (verdict.origin, verdict.integrity) == (Origin.OURS, Integrity.INTACT)


@pytest.mark.parametrize(
    "form", [one for one in FORMATS.values() if one is not WAV], ids=lambda form: form.name
)
def test_every_format_keeps_both_marks_and_leads_to_the_clips_consent(
    stamper: Stamper, authority: Authority, wav: Original, form: Format
) -> None:
    made = into(stamper, wav, Delivery(form, form.rates[0]))
    heard = decode_own(made.data, form, form.rates[0])
    assert PresenceMark().detect(heard.samples, heard.sample_rate) >= PRESENT
    found = find_mark(heard.samples, heard.sample_rate, {MARK.epoch: KEY})
    assert found is not None
    assert found.mark == MARK
    ledger = Register(Standing.WITHDRAWN, knows=None)
    verdict = Verifier(authority.root_pem, ledger).verify(made.data, made.manifest)
    assert (verdict.origin, verdict.integrity, verdict.standing) == (
        Origin.OURS, Integrity.INTACT, Standing.WITHDRAWN,
    )  # fmt: skip
    assert verdict.notes == (Note.DERIVED,)
    assert ledger.asked == [(SAID.clip_id, SAID.consent_id, SAID.consent_version)]
    assert (made.manifest is None) == form.embeds_manifest


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
def test_a_clip_in_any_format_can_become_another(
    stamper: Stamper, authority: Authority, form: Format
) -> None:
    """Also one whose manifest lies beside it: it travels inside the new one."""
    clip = original(stamper.stamp(SPOKEN[: 3 * RATE], RATE, SAID, Delivery(form, form.rates[-1])))
    wanted = delivery("flac" if form is WAV else "wav", 16_000 if form is MULAW else 24_000)
    made = into(stamper, clip, wanted)
    reading = read_manifest(made.data, TrustContext(authority.root_pem))
    assert reading is not None
    assert reading.state == "Trusted"
    assert [parent["clip_id"] for parent in reading.parents] == [SAID.clip_id]
    heard = decode_own(made.data, wanted.format, wanted.sample_rate)
    assert heard.sample_rate == wanted.sample_rate
    assert heard.seconds == pytest.approx(3.0, abs=0.1)


def test_it_says_what_its_clip_said_under_an_id_of_its_own(
    stamper: Stamper, authority: Authority, wav: Original
) -> None:
    made = into(stamper, wav, delivery("mp3"))
    reading = read_manifest(made.data, TrustContext(authority.root_pem))
    assert reading is not None
    named = f"{SAID.clip_id}-mp3-24000"
    assert reading.disclosure == replace(SAID, clip_id=named, generated_at=NOW)
    assert aigc_label(replace(SAID, clip_id=named)).encode() in made.data


@pytest.mark.parametrize("name", ["opus", "pcm"])
def test_two_that_are_made_of_one_clip_can_share_a_manifest_that_lies_beside_them(
    stamper: Stamper, authority: Authority, wav: Original, name: str
) -> None:
    first, second = (stamper.transcode(wav, delivery(name), "x", NOW + later) for later in (0.0, 60.0))
    assert first is not None
    assert second is not None
    assert (first.data, first.manifest == second.manifest) == (second.data, False)


@pytest.mark.parametrize("name", ["pcm", "wav", "mp3", "opus"])
def test_a_stream_becomes_a_whole_file_with_the_presence_mark(
    stamper: Stamper, authority: Authority, name: str
) -> None:
    wanted = delivery(name)
    encoder = live_encoder(wanted, RATE, aigc_label(SAID))
    sent = encoder.feed(SPOKEN) + encoder.flush()
    stream = original(stamper.stamp_stream(SPOKEN, RATE, sent, wanted.format, SAID))
    made = into(stamper, stream, delivery("flac"))
    looked = shared().look(made.data, authority.root_pem)
    assert looked.recording is not None
    assert PresenceMark().detect(looked.recording.samples, looked.recording.sample_rate) >= PRESENT
    assert made.data.count(b"c2pa.watermarked.unbound") == 1, "the stream had none"


def test_what_it_is_already_is_not_made_again(stamper: Stamper, wav: Original) -> None:
    assert stamper.transcode(wav, delivery("wav"), "x", NOW) is None
    mulaw = original(stamper.stamp(SPOKEN, RATE, SAID, delivery("mulaw")))
    assert stamper.transcode(mulaw, delivery("mulaw"), "x", NOW) is None
    pcm = original(stamper.stamp(SPOKEN, RATE, SAID, Delivery(PCM, 16_000)))
    assert stamper.transcode(pcm, Delivery(PCM, 16_000), "x", NOW) is None


def test_only_what_left_here_unaltered_is_made_into_anything(stamper: Stamper, wav: Original) -> None:
    data = wav.signed.data
    altered = data[:20_000] + bytes([data[20_000] ^ 1]) + data[20_001:]
    theirs = Stamper(Authority.create("Somebody").signer).stamp(SPOKEN, RATE, SAID).data
    opus = stamper.stamp(SPOKEN, RATE, SAID, delivery("opus"))
    for bad in (
        replace(wav, signed=Signed(altered)),
        replace(wav, signed=Signed(theirs)),
        replace(wav, signed=Signed(data, opus.manifest)),
        replace(wav, signed=Signed(opus.data), media_type="audio/ogg"),
        replace(wav, media_type="text/plain"),
    ):
        with pytest.raises(StampFailed):
            stamper.transcode(bad, delivery("mp3"), "x", NOW)


@pytest.mark.parametrize(("first", "then"), [("wav", "mp3"), ("wav", "opus"), ("opus", "wav")])
def test_a_flip_in_any_of_its_manifests_is_caught(
    stamper: Stamper, authority: Authority, first: str, then: str
) -> None:
    """c2pa counts nothing against a file that is wrong with what its clip said."""
    made = into(stamper, original(stamper.stamp(SPOKEN[:RATE], RATE, SAID, delivery(first))), delivery(then))
    inside = made.data if made.manifest is None else made.manifest
    store = container.manifest_store(inside)
    assert store is not None
    trust, random, missed = TrustContext(authority.root_pem), Random(then), []
    for at in random.sample(range(len(store)), 150):
        start = inside.index(store) + at
        changed = inside[:start] + bytes([inside[start] ^ 1 << at % 8]) + inside[start + 1 :]
        data, sidecar = (changed, None) if made.manifest is None else (made.data, changed)
        reading = read_manifest(data, trust, sidecar=sidecar)
        if reading is not None and reading.asset_matches and container.fault(data, sidecar) is None:
            missed.append(at)
    assert not missed


def test_a_clips_manifest_cannot_be_taken_out_of_the_one_around_it(
    stamper: Stamper, authority: Authority, wav: Original
) -> None:
    """Then nothing would lead to the consent."""
    made = into(stamper, wav, delivery("opus"))
    assert made.manifest is not None
    described = 8 + int.from_bytes(made.manifest[8:12], "big")  # the store's head, and its description
    size = int.from_bytes(made.manifest[described : described + 4], "big")
    inside = made.manifest[8:described] + made.manifest[described + size :]
    without = (len(inside) + 8).to_bytes(4, "big") + b"jumb" + inside
    verdict = Verifier(authority.root_pem, Register(knows=None)).verify(made.data, without)
    assert (verdict.integrity, verdict.standing) == (Integrity.ALTERED, Standing.UNKNOWN)


def test_what_does_not_read_back_does_not_leave(
    stamper: Stamper, wav: Original, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provenance.writing.read_manifest", lambda *_, **__: None)
    with pytest.raises(StampFailed, match="no manifest"):
        stamper.transcode(wav, delivery("mp3"), "x", NOW)
