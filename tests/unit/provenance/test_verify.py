"""Three answers about a clip, and what may never be answered."""

from __future__ import annotations

import io
import json
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import c2pa
import numpy as np
import pytest
import soundfile

from consent_service.proofs.records import Standing
from provenance import container
from provenance.audio import Limits, Samples, decode, encode_wav
from provenance.decoding.look import read_facts
from provenance.errors import AudioTooLarge, AudioUnreadable, ProvenanceError
from provenance.manifest import GENERATED, definition
from provenance.presence import PresenceMark
from provenance.stamp import StampedClip, Stamper
from provenance.trust import TrustContext
from provenance.verify import Integrity, Origin, Verifier
from tests.unit.provenance.authority import Authority
from tests.unit.provenance.conftest import RATE, Register, a_disclosure, speech_like

ASSETS = Path(__file__).parent / "assets"


def stripped(data: bytes) -> bytes:
    """The clip without its manifest chunk."""
    end = data.index(b"C2PA")
    return data[:4] + struct.pack("<I", end - 8) + data[8:end]


def foreign(samples: Samples, source: str, form: str = "WAV") -> bytes:
    """A clip signed by somebody else, with one digital source type."""
    media_type = {"WAV": "audio/wav", "MP3": "audio/mpeg", "FLAC": "audio/flac"}[form]
    sound = io.BytesIO()
    soundfile.write(sound, samples, RATE, format=form)
    other, out = Authority.create("Somebody else"), io.BytesIO()
    said = {
        "claim_generator_info": [{"name": "Somebody", "version": "1"}],
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": source}]},
            }
        ],
    }
    signer = c2pa.Signer.from_callback(
        other.signer.sign_manifest, c2pa.C2paSigningAlg.ES256, other.signer.chain.decode()
    )
    with signer, c2pa.Builder(said) as builder:
        builder.sign(signer, media_type, sound, out)
    return out.getvalue()


# what is ours -----------------------------------------------------------------------------------------------


def test_a_clip_of_ours_is_ours_and_intact(clip: StampedClip, verifier: Verifier) -> None:
    verdict = verifier.verify(clip.data)
    assert (verdict.origin, verdict.integrity) == (Origin.OURS, Integrity.INTACT)
    assert verdict.evidence["disclosure"]["consent_id"] == "consent_4567"


@pytest.mark.parametrize("standing", list(Standing))
def test_the_standing_is_what_the_ledger_says(
    clip: StampedClip, authority: Authority, standing: Standing
) -> None:
    register = Register(standing)
    verdict = Verifier(authority.root_pem, register).verify(clip.data)
    assert (verdict.origin, verdict.integrity) == (Origin.OURS, Integrity.INTACT)
    assert (verdict.standing, verdict.as_of) == (standing, 1_800_000_000.0)
    assert register.asked == [("c" * 32, "consent_4567", 2)]


def test_authentic_but_withdrawn_since(clip: StampedClip, authority: Authority) -> None:
    verdict = Verifier(authority.root_pem, Register(Standing.WITHDRAWN)).verify(clip.data)
    assert "We made this clip" in verdict.sentence
    assert "withdrawn since (as of 2027-01-15" in verdict.sentence


def test_without_a_register_the_standing_is_unknown(clip: StampedClip, verifier: Verifier) -> None:
    assert verifier.verify(clip.data).standing is Standing.UNKNOWN


def test_a_clip_unknown_to_the_register_is_ours_with_unknown_standing(
    clip: StampedClip, authority: Authority
) -> None:
    verdict = Verifier(authority.root_pem, Register(Standing.LIVE, knows=None)).verify(clip.data)
    assert (verdict.origin, verdict.integrity) == (Origin.OURS, Integrity.INTACT)
    assert verdict.standing is Standing.UNKNOWN


def test_an_unreachable_ledger_never_makes_a_consent_live(clip: StampedClip, authority: Authority) -> None:
    class Unreachable(Register):
        def standing(self, *_: object) -> tuple[Standing, float]:
            raise ConnectionError

        def knows_clip(self, *_: object) -> bool | None:
            raise ConnectionError

    class HalfReachable(Register):
        def standing(self, *_: object) -> tuple[Standing, float]:
            raise ConnectionError

    for reader in (Unreachable(), HalfReachable()):
        verdict = Verifier(authority.root_pem, reader, clock=lambda: 5.0).verify(clip.data)
        assert (verdict.origin, verdict.standing, verdict.as_of) == (Origin.OURS, Standing.UNKNOWN, 5.0)


def test_another_digest_in_the_register_means_altered(clip: StampedClip, authority: Authority) -> None:
    verdict = Verifier(authority.root_pem, Register(knows=False)).verify(clip.data)
    assert (verdict.origin, verdict.integrity) == (Origin.OURS, Integrity.ALTERED)


def test_a_manifest_moved_to_another_clip_is_caught(
    clip: StampedClip, stamper: Stamper, authority: Authority
) -> None:
    other = stamper.stamp(speech_like(1.0, seed=9), RATE, a_disclosure()).data
    sound, manifest = other.index(b"C2PA"), clip.data.index(b"C2PA")
    moved = other[:sound] + clip.data[manifest:]
    moved = moved[:4] + struct.pack("<I", len(moved) - 8) + moved[8:]
    verdict = Verifier(authority.root_pem, Register(Standing.LIVE, knows=False)).verify(moved)
    # The claims are ours, the sound need not be: nobody is told that we made it, or that a consent stands.
    assert (verdict.origin, verdict.integrity) == (Origin.OUR_MARK, Integrity.ALTERED)
    assert verdict.standing is Standing.UNKNOWN
    assert "not the file that was signed" in verdict.sentence


def test_a_broken_header_does_not_hide_whom_a_clip_names(clip: StampedClip, verifier: Verifier) -> None:
    verdict = verifier.verify(b"\x00\x00\x00\x00" + clip.data[4:])
    assert (verdict.origin, verdict.integrity) == (Origin.OUR_MARK, Integrity.ALTERED)


def test_any_reader_of_content_credentials_finds_the_manifest(
    clip: StampedClip, authority: Authority
) -> None:
    settings = {"trust": {"trust_anchors": authority.root_pem.decode()}}
    with c2pa.Reader("audio/wav", io.BytesIO(clip.data), context=c2pa.Context.from_dict(settings)) as reader:
        assert reader.get_validation_state() == "Trusted"


def test_what_was_changed_in_the_manifest_is_not_believed(clip: StampedClip, authority: Authority) -> None:
    register = Register(Standing.LIVE)
    changed = clip.data.replace(b"consent_4567", b"consent_9999")
    verdict = Verifier(authority.root_pem, register).verify(changed)
    assert (verdict.origin, verdict.integrity) == (Origin.OUR_MARK, Integrity.ALTERED)
    assert verdict.standing is Standing.UNKNOWN
    assert "disclosure" not in verdict.evidence
    assert not register.asked


# what is not ------------------------------------------------------------------------------------------------


def test_a_clip_signed_under_another_root_is_not_ours(clip: StampedClip) -> None:
    verdict = Verifier(Authority.create("Another root").root_pem).verify(clip.data)
    assert (verdict.origin, verdict.integrity) == (Origin.SYNTHETIC, Integrity.UNVERIFIABLE)
    assert "disclosure" not in verdict.evidence


def test_a_root_of_the_same_name_is_not_our_root(clip: StampedClip) -> None:
    verdict = Verifier(Authority.create("Test root").root_pem).verify(clip.data)
    assert verdict.origin is Origin.SYNTHETIC


def test_a_copied_certificate_does_not_make_a_clip_ours(authority: Authority, verifier: Verifier) -> None:
    other = Authority.create("Forger").signer
    out = io.BytesIO()
    said = {"claim_generator_info": [{"name": "Vouch"}], "assertions": []}
    unchecked = c2pa.Context.from_dict({"verify": {"verify_after_sign": False}})
    signer = c2pa.Signer.from_callback(
        other.sign_manifest, c2pa.C2paSigningAlg.ES256, authority.signer.chain.decode()
    )
    with signer, c2pa.Builder(said, context=unchecked) as builder:
        builder.set_intent(c2pa.C2paBuilderIntent.CREATE, c2pa.C2paDigitalSourceType.DIGITAL_CAPTURE)
        builder.sign(signer, "audio/wav", io.BytesIO(encode_wav(speech_like(0.3), RATE)), out)
    verdict = verifier.verify(out.getvalue())
    assert (verdict.origin, verdict.integrity) == (Origin.OUR_MARK, Integrity.ALTERED)
    assert "disclosure" not in verdict.evidence


@pytest.mark.parametrize("form", ["WAV", "MP3", "FLAC"])
def test_a_foreign_manifest_that_says_generated_is_synthetic_not_ours(verifier: Verifier, form: str) -> None:
    verdict = verifier.verify(foreign(speech_like(0.3), GENERATED, form))
    assert (verdict.origin, verdict.integrity) == (Origin.SYNTHETIC, Integrity.UNVERIFIABLE)


def test_a_foreign_manifest_over_other_bytes_is_altered(verifier: Verifier) -> None:
    data = bytearray(foreign(speech_like(0.3), GENERATED))
    data[1000] ^= 1
    verdict = verifier.verify(bytes(data))
    assert (verdict.origin, verdict.integrity) == (Origin.SYNTHETIC, Integrity.ALTERED)


def test_a_foreign_recording_with_a_manifest_is_not_called_synthetic(verifier: Verifier) -> None:
    capture = GENERATED.replace("trainedAlgorithmicMedia", "digitalCapture")
    verdict = verifier.verify(foreign(speech_like(0.3), capture))
    assert (verdict.origin, verdict.integrity) == (Origin.NO_MARK, Integrity.UNVERIFIABLE)


def test_the_presence_mark_survives_metadata_stripping_and_is_never_ours(
    clip: StampedClip, verifier: Verifier
) -> None:
    verdict = verifier.verify(stripped(clip.data))
    assert (verdict.origin, verdict.integrity) == (Origin.SYNTHETIC, Integrity.STRIPPED)
    assert "nothing in it shows that it is ours" in verdict.sentence


def test_the_presence_mark_survives_another_container(clip: StampedClip, verifier: Verifier) -> None:
    """One that loses nothing. What survives lossy codecs is the keyed mark (docs/adr/0022)."""
    sound, out = decode(clip.data, Limits()), io.BytesIO()
    soundfile.write(out, sound.samples, RATE, format="FLAC", subtype="PCM_16")
    verdict = verifier.verify(out.getvalue())
    assert (verdict.origin, verdict.integrity) == (Origin.SYNTHETIC, Integrity.STRIPPED)


def test_the_presence_mark_alone_is_anyones(verifier: Verifier) -> None:
    marked = encode_wav(PresenceMark().embed(speech_like(1.0), RATE), RATE)
    assert verifier.verify(marked).origin is Origin.SYNTHETIC


@pytest.mark.parametrize("samples", [speech_like(1.0), np.zeros(RATE, np.float32)], ids=["sound", "silence"])
def test_no_mark_found_never_means_a_real_person(verifier: Verifier, samples: Samples) -> None:
    verdict = verifier.verify(encode_wav(samples, RATE))
    assert (verdict.origin, verdict.integrity) == (Origin.NO_MARK, Integrity.UNVERIFIABLE)
    assert "does not mean that a real person" in verdict.sentence


# an expired leaf --------------------------------------------------------------------------------------------


def test_a_clip_of_an_expired_leaf_is_ours_only_if_the_register_knows_it() -> None:
    data, root = (ASSETS / "expired.wav").read_bytes(), (ASSETS / "expired-root.pem").read_bytes()
    alone = Verifier(root).verify(data)
    assert (alone.origin, alone.integrity) == (Origin.OUR_MARK, Integrity.INTACT)
    unknown = Verifier(root, Register(knows=None)).verify(data)
    assert (unknown.origin, unknown.standing) == (Origin.OUR_MARK, Standing.UNKNOWN)
    known = Verifier(root, Register(knows=True)).verify(data)
    assert (known.origin, known.integrity, known.standing) == (
        Origin.OURS,
        Integrity.INTACT,
        Standing.LIVE,
    )
    other = Verifier(root, Register(knows=False)).verify(data)
    assert (other.origin, other.integrity) == (Origin.OUR_MARK, Integrity.ALTERED)


def test_an_expired_leaf_of_another_root_is_not_ours(authority: Authority) -> None:
    data = (ASSETS / "expired.wav").read_bytes()
    assert Verifier(authority.root_pem, Register(knows=True)).verify(data).origin is Origin.SYNTHETIC


def test_an_altered_clip_of_an_expired_leaf_is_altered() -> None:
    data, root = bytearray((ASSETS / "expired.wav").read_bytes()), (ASSETS / "expired-root.pem").read_bytes()
    data[1000] ^= 1
    verdict = Verifier(root, Register(knows=True)).verify(bytes(data))
    assert verdict.integrity is Integrity.ALTERED


# what is told to whom ---------------------------------------------------------------------------------------


def test_anyone_learns_origin_and_integrity_and_no_more(clip: StampedClip, authority: Authority) -> None:
    public = Verifier(authority.root_pem, Register(Standing.WITHDRAWN)).verify(clip.data).public()
    told = public.to_json()
    assert set(told) == {"origin", "integrity", "sentence"}
    for secret in ("consent", "withdrawn", "voice_0123", "0.9", "cccc"):
        assert secret not in json.dumps(told)


def test_a_full_verdict_is_json(clip: StampedClip, authority: Authority) -> None:
    told = json.loads(json.dumps(Verifier(authority.root_pem, Register()).verify(clip.data).to_json()))
    assert told["standing"] == "live"
    assert told["as_of"].startswith("2027-01-15T08:00:00")
    assert told["evidence"]["presence"] >= 0.6
    assert told["evidence"]["register_match"] is True
    assert told["evidence"]["manifest"]["state"] == "Trusted"


def test_no_text_and_no_name_is_in_the_bytes(authority: Authority) -> None:
    # The stamper is given neither; this holds the list of what an assertion may say.
    data = Stamper(authority.signer).stamp(speech_like(0.2), RATE, a_disclosure()).data
    said = Verifier(authority.root_pem).verify(data).evidence["disclosure"]
    assert set(said) == {
        "clip_id", "voice_id", "basis", "consent_id", "consent_version", "purpose", "language",
        "generated_at", "provider", "system_version", "engine", "model", "model_digest", "is_clone",
        "audit_leaf", "checkpoint", "profile", "system", "keyed_epoch",
    }  # fmt: skip


# hostile uploads --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"hello" * 1000,
        b"RIFF\xff\xff\xff\xffWAVEfmt ",
        b"\xff\xd8\xff\xe0" + bytes(500),
        b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f",
        b"fLaC\x00\x00\x00\x22" + bytes(40),
        b"OggS" + bytes(100),
        encode_wav(speech_like(0.2), RATE)[:44],
    ],
    ids=["empty", "stub", "text", "truncated", "jpeg", "mp3 bomb", "flac of nothing", "ogg", "header only"],
)
def test_what_is_not_audio_is_refused(verifier: Verifier, data: bytes) -> None:
    with pytest.raises(AudioUnreadable):
        verifier.verify(data)


def test_an_upload_past_the_size_limit_is_not_parsed(
    clip: StampedClip, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "provenance.decoding.pool.DecodingProcess.look", lambda *_: pytest.fail("it was parsed")
    )
    with pytest.raises(AudioTooLarge):
        Verifier(authority.root_pem, limits=Limits(max_bytes=1000)).verify(clip.data)


def test_decoding_stops_at_the_limit_whatever_the_file_holds(authority: Authority) -> None:
    out = io.BytesIO()
    soundfile.write(out, np.zeros(60 * RATE, np.float32), RATE, format="FLAC")
    assert len(out.getvalue()) < 20_000
    for limits in (Limits(max_seconds=30.0), Limits(max_frames=RATE)):
        with pytest.raises(AudioTooLarge):
            Verifier(authority.root_pem, limits=limits).verify(out.getvalue())


@pytest.mark.parametrize(
    "length",
    [b"\x5a\x7f\xff\xff\xff", b"\x5b\x00\x00\x00\x08\x00\x00\x00\x00", b"\x7a\x40\x00\x00\x00"],
    ids=["2 GiB of bytes", "32 GiB of bytes", "1 GiB of text"],
)
def test_a_manifest_that_declares_gigabytes_never_reaches_the_parser(
    clip: StampedClip, authority: Authority, monkeypatch: pytest.MonkeyPatch, length: bytes
) -> None:
    at = clip.data.index(b"hlanguage") + 9
    bomb = clip.data[:at] + length + clip.data[at + len(length) :]

    def parsed(*_: object, **__: object) -> None:
        pytest.fail("the parser was given it")

    monkeypatch.setattr(c2pa, "Reader", parsed)
    facts = read_facts(bomb, None, TrustContext(authority.root_pem))
    assert (facts.reading, facts.manifest_present, facts.names_us) == (None, True, True)


def _with_compressed_box(data: bytes) -> bytes:
    return data.replace(b"cbor\xa2gactions", b"brob\xa2gactions")


def _with_long_certificate(data: bytes) -> bytes:
    at = data.index(b"\x18\x21", data.index(b"c2pa.signature\x00")) + 3
    return data[:at] + b"\x5b\x00\x00\x7f\xff\xff\xff\xff\xff" + data[at + 9 :]


def _with_a_huge_store(data: bytes) -> bytes:
    start = data.index(b"C2PA") + 8
    filler = struct.pack(">I4s", 3 << 20, b"free") + bytes((3 << 20) - 8)
    (size,) = struct.unpack_from(">I", data, start)
    return data[:start] + struct.pack(">I", size + len(filler)) + data[start + 4 :] + filler


@pytest.mark.parametrize("change", [_with_compressed_box, _with_long_certificate, _with_a_huge_store])
def test_a_store_that_cannot_be_bounded_is_not_handed_on(
    clip: StampedClip, change: Callable[[bytes], bytes]
) -> None:
    assert container.manifest_store(clip.data) is not None
    changed = change(clip.data)
    assert changed != clip.data
    assert container.manifest_store(changed) is None


def test_a_recording_of_many_channels_or_an_odd_rate_is_refused(verifier: Verifier) -> None:
    for rate, channels in ((RATE, 12), (100, 1), (400_000, 1)):
        out = io.BytesIO()
        soundfile.write(out, np.zeros((1000, channels), np.float32), rate, format="WAV", subtype="PCM_16")
        with pytest.raises(AudioUnreadable):
            verifier.verify(out.getvalue())


def test_a_picture_with_a_manifest_is_not_audio(clip: StampedClip, verifier: Verifier) -> None:
    manifest = foreign(speech_like(0.2), GENERATED)
    with pytest.raises(AudioUnreadable):
        verifier.verify(b"\xff\xd8\xff\xe0" + manifest[manifest.index(b"C2PA") :])


def test_samples_that_are_not_numbers_do_not_break_the_answer(verifier: Verifier) -> None:
    out = io.BytesIO()
    wild = speech_like(0.5)
    wild[::7], wild[::11], wild[::13] = np.nan, np.inf, 3e38
    soundfile.write(out, wild, RATE, format="WAV", subtype="FLOAT")
    assert verifier.verify(out.getvalue()).origin in set(Origin)


def test_a_clip_that_names_an_address_is_not_followed_there(authority: Authority, verifier: Verifier) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        out, said = io.BytesIO(), definition(a_disclosure())
        signer = c2pa.Signer.from_callback(
            authority.signer.sign_manifest, c2pa.C2paSigningAlg.ES256, authority.signer.chain.decode()
        )
        with signer, c2pa.Builder(said) as builder:
            builder.set_no_embed()
            builder.set_remote_url(f"http://127.0.0.1:{server.getsockname()[1]}/manifest")
            builder.sign(signer, "audio/wav", io.BytesIO(encode_wav(speech_like(0.3), RATE)), out)
        assert b"http://127.0.0.1" in out.getvalue()
        assert verifier.verify(out.getvalue()).origin is Origin.NO_MARK
        # The second wall, should a file ever reach c2pa's own search for its manifest:
        context = TrustContext(authority.root_pem).context()
        with pytest.raises(c2pa.C2paError):
            c2pa.Reader("audio/wav", io.BytesIO(out.getvalue()), context=context)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_an_anchor_that_is_no_certificate_is_refused_at_start() -> None:
    for anchor in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(ProvenanceError):
            Verifier(anchor)
