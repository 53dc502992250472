"""`vouch verify` on a clip in another format: ours, whole, standing as its clip stands, with the ledger and without."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from consent_service.config import ConsentConfig
from consent_service.service import ConsentService
from provenance.derive import Signed
from provenance.formats.delivery import delivery
from provenance.stamp import Stamper
from provenance.transcode import Original
from tests.unit.vouch.conftest import Vouch

LINE = "The lamp was lit at nine."


def in_another_form(
    vouch: Vouch, clip: Path, clip_id: str, seconds: float, form: str, *, media_type: str = "audio/wav"
) -> list[object]:
    """What `vouch verify` is given: the file, and its manifest where that is not inside."""
    original = Original(Signed(clip.read_bytes()), media_type, seconds)
    service = ConsentService.open(ConsentConfig(data_dir=vouch.folder / "data"))
    try:
        stamper = Stamper(service.keys)
        made = stamper.transcode(original, delivery(form), f"{clip_id}-{form}-24000", time.time())
    finally:
        service.close()
    assert made is not None
    file, beside = vouch.folder / f"clip.{form}", vouch.folder / f"clip.{form}.c2pa"
    file.write_bytes(made.data)
    if made.manifest is None:
        return [file]
    beside.write_bytes(made.manifest)
    return [file, "--manifest", beside]


@pytest.mark.parametrize("form", ["mp3", "opus"])
def test_it_stands_as_its_clip_stands(vouch: Vouch, form: str) -> None:
    voice_id = vouch.enrol()
    consent = vouch.consent(voice_id)
    clip = vouch.folder / "clip.wav"
    said = vouch.json("say", LINE, "-o", clip, "--voice", voice_id)
    old, new = vouch.folder / "old", vouch.folder / "new"
    vouch.json("audit", "export", "--bundle", old)
    given = in_another_form(vouch, clip, said["clip_id"], said["seconds"], form)
    told = vouch.json("verify", *given)
    assert (told["origin"], told["integrity"], told["standing"]) == ("ours", "intact", "live")
    told = vouch.json("verify", *given, "--offline", old)
    assert (told["standing"], told["bundle"]["in_log"]) == ("live", True)
    vouch.json("consent", "revoke", consent["consent"]["consent_id"], "--reason", "asked to stop")
    told = vouch.json("verify", *given)
    assert (told["origin"], told["integrity"], told["standing"]) == ("ours", "intact", "withdrawn since")
    vouch.json("audit", "export", "--bundle", new)
    told = vouch.json("verify", *given, "--offline", new)
    assert (told["standing"], told["bundle"]["in_log"]) == ("withdrawn since", True)


def test_a_form_of_a_form_stands_as_the_clip_stands(vouch: Vouch) -> None:
    voice_id = vouch.enrol()
    vouch.consent(voice_id)
    clip = vouch.folder / "clip.wav"
    said = vouch.json("say", LINE, "-o", clip, "--voice", voice_id)
    vouch.json("audit", "export", "--bundle", vouch.folder / "bundle")
    in_another_form(vouch, clip, said["clip_id"], said["seconds"], "mp3")
    given = in_another_form(
        vouch, vouch.folder / "clip.mp3", said["clip_id"], said["seconds"], "flac", media_type="audio/mpeg"
    )
    told = vouch.json("verify", *given)
    assert (told["origin"], told["integrity"], told["standing"]) == ("ours", "intact", "live")
    told = vouch.json("verify", *given, "--offline", vouch.folder / "bundle")
    assert (told["standing"], told["bundle"]["in_log"]) == ("live", True)


def test_of_a_clip_that_is_younger_than_the_bundle_nothing_is_claimed(vouch: Vouch) -> None:
    voice_id = vouch.enrol()
    vouch.consent(voice_id)
    vouch.json("audit", "export", "--bundle", vouch.folder / "old")
    clip = vouch.folder / "clip.wav"
    said = vouch.json("say", LINE, "-o", clip, "--voice", voice_id)
    given = in_another_form(vouch, clip, said["clip_id"], said["seconds"], "mp3")
    told = vouch.json("verify", *given, "--offline", vouch.folder / "old")
    assert (told["origin"], told["standing"], told["bundle"]["in_log"]) == ("ours", "unknown", False)
