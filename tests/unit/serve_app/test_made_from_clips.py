"""What was made from clips, by whomever with our keys, stands at the door as those clips stand."""

from __future__ import annotations

import time
from dataclasses import replace

import httpx
import numpy as np
import pytest

from provenance.derive import Signed, derive, whole
from provenance.formats.catalogue import WAV
from provenance.formats.decode import decode_own
from provenance.formats.delivery import delivery
from provenance.formats.encode import encode
from provenance.labels.aigc import aigc_label
from provenance.stamp import Stamper
from provenance.transcode import Original
from provenance.trust import TrustContext
from tests.unit.serve_app.clips.test_renditions import fetch, verified
from tests.unit.serve_app.house import House, Studio

LINES = ("The lamp was lit at nine, and nobody came.", "By ten the oil was gone, and so was the light.")


@pytest.fixture
def clips(house: House, studio: Studio) -> list[httpx.Response]:
    asked = {"language": "en", "voice_id": studio.voice.voice_id, "purpose": "narration"}
    key = studio.keys["narrator"]
    return [house.post("/v1/voice-clone", {"text": line, **asked}, key=key) for line in LINES]


def chapter(house: House, clips: list[httpx.Response]) -> bytes:
    keys, parents = house.service.keys, [Signed(clip.content) for clip in clips]
    trust = TrustContext(keys.trust_anchor())
    said = replace(
        whole(parents[0], trust),
        clip_id="chapter-7",
        consent_id=None,
        consent_version=None,
        generated_at=time.time(),
    )
    sound = np.concatenate([decode_own(clip.data, WAV, 24_000).samples for clip in parents])
    made = encode(sound, WAV, 24_000, aigc_label(said))
    return derive(parents, made, said, signer=keys, trust=trust).data


def test_a_chapter_stands_as_its_clips_stand(
    house: House, studio: Studio, clips: list[httpx.Response]
) -> None:
    made, auditor = chapter(house, clips), studio.keys["auditor"]
    told = verified(house, auditor, made, None)
    assert (told["origin"], told["integrity"], told["standing"]) == ("ours", "intact", "live")
    assert [one["clip_id"] for one in told["evidence"]["made_from"]] == [
        clip.headers["x-clip-id"] for clip in clips
    ]
    studio.revoke()
    assert verified(house, auditor, made, None)["standing"] == "withdrawn since"


def test_a_stranger_is_told_nothing_of_a_chapter_s_clips(
    house: House, studio: Studio, clips: list[httpx.Response]
) -> None:
    told = verified(house, None, chapter(house, clips), None)
    assert told.keys() == {"origin", "integrity", "notes", "sentence"}


@pytest.mark.parametrize("named", ["chapter-7", "{}-flac-24000"])
def test_a_form_of_a_form_stands_as_the_clip_stands(
    house: House, studio: Studio, clips: list[httpx.Response], named: str
) -> None:
    form = fetch(house, studio, clips[0], response_format="mp3")
    clip_id = clips[0].headers["x-clip-id"]
    original = Original(Signed(form.content), "audio/mpeg", 3.0)
    again = Stamper(house.service.keys).transcode(
        original, delivery("flac"), named.format(clip_id), time.time()
    )
    assert again is not None
    told = verified(house, studio.keys["auditor"], again.data, None)
    assert (told["origin"], told["standing"]) == ("ours", "live")
    assert [one["clip_id"] for one in told["evidence"]["made_from"]] == [clip_id]
