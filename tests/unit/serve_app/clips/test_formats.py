"""A clip leaves in the format that was asked for, marked in all of them (DESIGN I4), and one format is not another's
cached clip (I8)."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from provenance.formats.catalogue import FORMATS, format_named
from provenance.formats.decode import decode_own
from provenance.labels.texts import texts
from provenance.presence import PRESENT, PresenceMark
from provenance.profiles.profile import load_profile
from provenance.reading import read_manifest
from provenance.trust import TrustContext
from tests.unit.serve_app.house import House, Studio

SAID = {"text": "Good morning.", "language": "en", "purpose": "narration"}


@pytest.mark.parametrize("name", [*FORMATS, "aac"])
def test_every_format_leaves_marked_labelled_and_signed(house: House, studio: Studio, name: str) -> None:
    form, key = format_named(name), studio.keys["narrator"]
    body = {**SAID, "voice_id": studio.voice.voice_id, "response_format": name}
    answer = house.post("/v1/voice-clone", body, key=key)
    assert (answer.status_code, answer.headers["content-type"]) == (200, form.media_type)
    link = answer.headers["link"].partition(">")[0].removeprefix("<")
    manifest = house.request("GET", link, key=key).content
    trust = TrustContext(house.context.trust.anchor)
    reading = read_manifest(answer.content, trust, sidecar=None if form.embeds_manifest else manifest)
    assert reading is not None
    assert (reading.state, reading.asset_matches) == ("Trusted", True)
    assert reading.disclosure is not None
    assert reading.disclosure.clip_id == answer.headers["x-clip-id"]
    assert (b'"Label":"1"' in answer.content) == form.carries_label
    if form.embeds_manifest:
        assert manifest in answer.content
    else:
        heard = decode_own(answer.content, form, form.rates[0])
        assert PresenceMark().detect(heard.samples, heard.sample_rate) >= PRESENT
    again = house.request("GET", link.removesuffix("/manifest"), key=key)
    assert (again.content, again.headers["content-type"]) == (answer.content, form.media_type)


def test_another_format_rate_or_loudness_is_another_clip(house: House, studio: Studio) -> None:
    asked = [{}, {"response_format": "flac"}, {"sample_rate": 16_000}, {"loudness": -20.0}, {}]
    answers = [
        house.post("/v1/custom-voice", {**SAID, "speaker": "Vivian", **more}, key=studio.keys["narrator"])
        for more in asked
    ]
    assert [answer.headers["x-cache"] for answer in answers] == ["miss", "miss", "miss", "miss", "hit"]
    assert len({answer.headers["x-clip-id"] for answer in answers}) == 4


def test_a_spoken_disclaimer_is_authorised_and_said_with_the_text(house: House, studio: Studio) -> None:
    key, body = studio.keys["narrator"], {**SAID, "speaker": "Vivian"}
    plain = house.post("/v1/custom-voice", body, key=key)
    # A caller's own respellings must not reach it.
    asked = {**body, "spoken_disclaimer": True, "lexicon": {"artificial": "natural"}}
    spoken = house.post("/v1/custom-voice", asked, key=key)
    by_hand = {**body, "text": f"{texts('en').spoken} [pause 500ms] {SAID['text']}"}
    assert house.post("/v1/custom-voice", by_hand, key=key).content == spoken.content
    assert len(spoken.content) > len(plain.content)


def test_a_profile_can_make_the_disclaimer_a_rule(
    house: House, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, body = studio.keys["narrator"], {**SAID, "speaker": "Vivian"}
    usual = house.post("/v1/custom-voice", body, key=key)
    monkeypatch.setattr(house.clips, "_profile", load_profile("cn"))
    ruled = house.post("/v1/custom-voice", {**body, "spoken_disclaimer": False}, key=key)
    assert len(ruled.content) > len(usual.content)
    reading = read_manifest(ruled.content, house.context.trust)
    assert reading is not None
    assert reading.disclosure is not None
    assert reading.disclosure.profile == "cn"


def test_anyone_can_ask_what_to_show_beside_a_clip(house: House) -> None:
    shown = house.request("GET", "/v1/disclosure?language=pt-BR").json()
    assert shown == asdict(texts("pt"))
    assert house.request("GET", "/v1/disclosure?language=xx").json()["language"] == "en"


def test_openai_clients_get_the_format_that_they_expect(house: House, studio: Studio) -> None:
    body = {"input": "Good morning.", "voice": "Vivian", "model": "m", "purpose": "narration"}
    answer = house.post("/v1/audio/speech", body, key=studio.keys["narrator"])
    assert answer.headers["content-type"] == "audio/mpeg"
