"""Every format: encoded the same way twice, marked, labelled, signed, and of one shape (DESIGN I4, I8)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

import av
import numpy as np
import pytest
from av.container import InputContainer

from provenance import writing
from provenance.audio import Samples
from provenance.errors import FormatUnsupported, StampFailed
from provenance.formats.catalogue import FLAC, FORMATS, M4A, MP3, MULAW, NAMES, OPUS, PCM, WAV, Format
from provenance.formats.decode import decode_own
from provenance.formats.delivery import Delivery, delivery
from provenance.formats.encode import encode
from provenance.formats.shape import ShapeFault, manifest_in
from provenance.labels.aigc import aigc_label
from provenance.manifest import definition
from provenance.presence import PRESENT, PresenceMark
from provenance.reading import read_manifest
from provenance.stamp import StampedClip, Stamper
from provenance.trust import TrustContext
from tests.unit.provenance.authority import Authority
from tests.unit.provenance.conftest import RATE, a_disclosure, speech_like

OFFERED = [(form, rate) for form in FORMATS.values() for rate in form.rates]
EACH = pytest.mark.parametrize(("form", "rate"), OFFERED, ids=lambda one: getattr(one, "name", one))


def stamped(stamper: Stamper, form: Format, rate: int | None = None, seconds: float = 0.5) -> StampedClip:
    wanted = Delivery(form, rate or form.rates[0])
    return stamper.stamp(speech_like(seconds), RATE, a_disclosure(keyed_epoch=3), wanted)


def at(rate: int) -> Samples:
    return speech_like(0.5)[:: RATE // rate].copy() if RATE % rate == 0 else speech_like(0.5)


@EACH
def test_the_same_samples_give_the_same_bytes(form: Format, rate: int) -> None:
    samples = at(rate)
    assert encode(samples, form, rate, "{}") == encode(samples.copy(), form, rate, "{}")


@EACH
def test_what_was_encoded_is_what_is_heard(form: Format, rate: int) -> None:
    samples = at(rate)
    heard = decode_own(encode(samples, form, rate, "{}"), form, rate)
    kept = heard.samples[: samples.size]
    assert abs(heard.samples.size / heard.sample_rate - samples.size / rate) < 0.1
    if form.codec is None or form.codec.bits_per_sample is None:
        tolerance = 0.02 if form is MULAW else 1 / 32_000
        assert np.abs(kept - samples).max() < tolerance


def test_lossless_formats_hold_the_same_samples() -> None:
    samples = speech_like(0.5)
    heard = [decode_own(encode(samples, form, RATE, "{}"), form, RATE).samples for form in (WAV, FLAC, PCM)]
    assert all(np.array_equal(heard[0], other) for other in heard[1:])


@EACH
def test_no_format_leaves_without_mark_label_and_manifest(
    stamper: Stamper, authority: Authority, form: Format, rate: int
) -> None:
    clip = stamped(stamper, form, rate, 1.0)
    assert (clip.format, clip.media_type) == (form, form.media_type)
    heard = _heard(clip, rate)
    assert PresenceMark().detect(heard, rate) >= PRESENT
    label = aigc_label(a_disclosure()).encode()
    assert (label in clip.data) == form.carries_label
    assert (clip.manifest is None) == form.embeds_manifest
    reading = read_manifest(clip.data, TrustContext(authority.root_pem), sidecar=clip.manifest)
    assert reading is not None
    assert (reading.state, reading.asset_matches) == ("Trusted", True)
    assert reading.disclosure == a_disclosure(keyed_epoch=3)


def _heard(clip: StampedClip, rate: int) -> Samples:
    """By a reader that knows nothing of us: FFmpeg, with the manifest in its way."""
    if clip.format is PCM:
        return decode_own(clip.data, PCM, rate).samples
    with av.open(io.BytesIO(clip.data)) as opened:
        assert isinstance(opened, InputContainer)
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        frames = [out for frame in opened.decode(audio=0) for out in resampler.resample(frame)]
        return np.concatenate([frame.to_ndarray()[0] for frame in frames])


@pytest.mark.parametrize("form", [MP3, FLAC, M4A, OPUS], ids=lambda form: form.name)
def test_other_programs_find_the_label_by_its_name(stamper: Stamper, form: Format) -> None:
    clip = stamped(stamper, form)
    with av.open(io.BytesIO(clip.data)) as opened:
        found = {**opened.metadata, **opened.streams[0].metadata}
    assert json.loads(found["AIGC"])["ProduceID"] == a_disclosure().clip_id


def test_a_wav_file_holds_the_label_in_a_chunk_of_its_own(stamper: Stamper) -> None:
    label = aigc_label(a_disclosure()).encode()
    for form in (WAV, MULAW):
        data = stamped(stamper, form).data
        start = data.index(b"AIGC")
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        assert data[start + 8 : start + 8 + size] == label


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
def test_a_format_that_lost_its_label_does_not_leave(
    stamper: Stamper, form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "provenance.marking.encode", lambda samples, form, rate, _: encode(samples, form, rate, "{}")
    )
    if form.carries_label:
        with pytest.raises(StampFailed, match="label"):
            stamped(stamper, form)
    else:
        assert stamped(stamper, form).manifest


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
def test_a_format_whose_encoding_loses_the_mark_does_not_leave(
    stamper: Stamper, form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    unmarked = speech_like(0.5)[:: RATE // form.rates[0]].copy()
    monkeypatch.setattr(
        "provenance.marking.encode", lambda _, form, rate, label: encode(unmarked, form, rate, label)
    )
    with pytest.raises(StampFailed, match="presence mark"):
        stamped(stamper, form)


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
def test_a_manifest_over_other_bytes_does_not_leave(
    stamper: Stamper, form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = writing.ManifestWriter._signed

    def damaged(self: writing.ManifestWriter, data: bytes, *rest: object, **how: bool) -> tuple[object, ...]:
        if form.embeds_manifest:
            signed, *others = whole(self, data, *rest, **how)  # type: ignore[arg-type]
            last = signed.rindex(data[-8:])
            return signed[:last] + bytes([signed[last] ^ 1]) + signed[last + 1 :], *others
        return whole(self, data + b"\x00", *rest, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(writing.ManifestWriter, "_signed", damaged)
    with pytest.raises(StampFailed, match="does not verify"):
        stamped(stamper, form)


def test_an_odd_number_of_samples_leaves_a_sound_container(stamper: Stamper) -> None:
    for form in FORMATS.values():
        odd = speech_like(0.5)[:11_999]
        clip = stamper.stamp(odd, RATE, a_disclosure(), Delivery(form, form.rates[0]))
        assert clip.data


def test_the_manifest_binds_the_keyed_mark_only_where_there_is_one(
    stamper: Stamper, authority: Authority
) -> None:
    for epoch in (None, 3):
        said = definition(a_disclosure(keyed_epoch=epoch))
        labels = {one["label"] for one in said["assertions"]}
        actions = {one["action"] for one in said["assertions"][0]["data"]["actions"]}
        assert ("c2pa.soft-binding" in labels) == (epoch is not None)
        assert ("c2pa.watermarked.bound" in actions) == (epoch is not None)
    reading = read_manifest(stamped(stamper, WAV).data, TrustContext(authority.root_pem))
    assert reading is not None
    assert not reading.failures


def test_a_stream_gets_a_manifest_over_exactly_what_was_sent(stamper: Stamper, authority: Authority) -> None:
    trust, samples = TrustContext(authority.root_pem), speech_like(0.5)
    sent = encode(samples, MP3, RATE, aigc_label(a_disclosure()))[:3_001]  # cut in the middle of a frame
    clip = stamper.stamp_stream(samples, RATE, sent, MP3, a_disclosure())
    assert clip.data == sent
    assert clip.manifest is not None
    reading = read_manifest(sent, trust, sidecar=clip.manifest)
    assert reading is not None
    assert (reading.state, reading.asset_matches) == ("Trusted", True)
    for other in (sent[:-1], sent + b"\x00", sent[:100] + b"\x00" + sent[101:]):
        moved = read_manifest(other, trust, sidecar=clip.manifest)
        assert moved is not None
        assert not moved.asset_matches


@pytest.mark.parametrize("name", NAMES)
def test_every_name_means_a_format(name: str) -> None:
    assert delivery(name).sample_rate == delivery(name).format.rates[0]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (("avi", None, None), "format_unsupported"),
        (("", None, None), "format_unsupported"),
        (("WAV", None, None), "format_unsupported"),
        (("mp3", 44_100, None), "sample_rate_unsupported"),
        (("mulaw", 24_000, None), "sample_rate_unsupported"),
        (("wav", None, 0.0), "loudness_unsupported"),
        (("wav", None, float("nan")), "loudness_unsupported"),
    ],
)
def test_what_is_not_made_is_refused_with_what_is(
    asked: tuple[str, int | None, float | None], code: str
) -> None:
    with pytest.raises(FormatUnsupported) as refused:
        delivery(*asked)
    assert refused.value.code == code


def test_no_two_deliveries_share_a_key() -> None:
    made = [delivery(name, None, level) for name in FORMATS for level in (None, -16.0, -23.0)]
    assert len({one.key for one in made}) == len(made)


def _id3_with_padding(data: bytes) -> bytes:
    """A tag that is ten bytes longer than its frames."""
    size = int.from_bytes(data[9:10], "big") + 10
    return data[:9] + bytes([size]) + data[10:]


@pytest.mark.parametrize(
    ("form", "change", "code"),
    [
        (MP3, lambda d: d[:3] + b"\x03" + d[4:], "id3.header"),
        (MP3, lambda d: d[:5] + b"\x80" + d[6:], "id3.header"),
        (MP3, lambda d: d[:6] + b"\x80" + d[7:], "id3.size"),
        (MP3, _id3_with_padding, "id3.frames"),
        (FLAC, lambda d: d.replace(b"GEOB", b"PRIV", 1), "id3.frames"),
        (FLAC, lambda d: d.replace(b"application/c2pa", b"application/c2pb", 1), "id3.geob"),
        (M4A, lambda d: d[:8] + b"isom" + d[12:], "m4a.uncovered"),
        (M4A, lambda d: d.replace(b"\x00\x00\x00\x08free", b"\x00\x00\x00\x08skip", 1), "m4a.boxes"),
        (M4A, lambda d: d.replace(b"manifest\x00", b"manifesu\x00", 1), "m4a.uuid"),
        (M4A, lambda d: d + b"\x00\x00\x00\x08free", "m4a.boxes"),
        (M4A, lambda d: b"\x00\x00\x00\x00" + d[4:], "m4a.box"),
        (WAV, lambda d: d.replace(b"AIGC", b"LIST", 1), "riff.chunks"),
        (OPUS, lambda d: d, "container.unknown"),
    ],
)
def test_a_container_that_is_not_as_we_write_it_is_named(
    stamper: Stamper, form: Format, change: Callable[[bytes], bytes], code: str
) -> None:
    with pytest.raises(ShapeFault) as found:
        manifest_in(change(stamped(stamper, form).data))
    assert str(found.value) == code


def test_a_clip_says_which_profile_it_was_made_under(stamper: Stamper, authority: Authority) -> None:
    said = replace(a_disclosure(), profile="cn")
    reading = read_manifest(
        stamper.stamp(speech_like(0.3), RATE, said).data, TrustContext(authority.root_pem)
    )
    assert reading is not None
    assert reading.disclosure is not None
    assert reading.disclosure.profile == "cn"
