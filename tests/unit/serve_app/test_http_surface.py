"""The online door's HTTP interface: the consent service's surface, clips in parts, and forms."""

from __future__ import annotations

import tempfile
from typing import Any

import httpx
import pytest

from consent_service.models import Role
from serve_app.config import AppConfig
from tests.unit.consent_service.post import letters
from tests.unit.serve_app.house import House, Studio, code_of


@pytest.fixture
def clip(house: House, studio: Studio) -> httpx.Response:
    body = {
        "text": "Good evening.",
        "language": "en",
        "purpose": "narration",
        "voice_id": studio.voice.voice_id,
    }
    made = house.post("/v1/voice-clone", body, key=studio.keys["narrator"])
    assert made.status_code == 200, made.text
    return made


# the person -----------------------------------------------------------------------------------------------------------
def test_a_contact_given_at_enrolment_confirms_itself_signs_in_and_withdraws(
    house: House, studio: Studio
) -> None:
    """As the page of the mailed link does it, on the door that `vouch up` opens."""
    body = {"contact": "mary@example.org"}
    asked = house.post(f"/v1/voices/{studio.voice.voice_id}/contact", body, key=studio.keys["admin"])
    assert (asked.status_code, asked.json()["state"]) == (202, "confirmation_pending")
    letter = letters(house.config.consent.data_dir)[-1]
    assert f"{house.config.http.page}#confirm={letter.token}&tenant={studio.name}" in letter.text
    assert house.request("GET", "/me").status_code == 200
    assert house.post("/v1/subject/contact", {"token": letter.token}).json() == {"state": "confirmed"}
    assert code_of(house.post("/v1/subject/contact", {"token": letter.token})) == "link_invalid"
    links = {"tenant": studio.name, "contact": "mary@example.org"}
    assert house.post("/v1/subject/links", links).status_code == 202
    token = letters(house.config.consent.data_dir)[-1].token
    session = house.post("/v1/subject/sign-in", {"token": token}).json()["api_key"]
    voices = house.request("GET", "/v1/subject/voices", key=session).json()
    assert [voice["voice_id"] for voice in voices] == [studio.voice.voice_id]
    consent_id = studio.consent.consent.consent_id
    assert house.post(f"/v1/subject/consents/{consent_id}/revoke", {}, key=session).status_code == 200
    assert house.request("POST", "/v1/subject/sign-out", key=session).status_code == 204
    assert house.request("GET", "/v1/subject/voices", key=session).status_code == 401


def test_an_enrolment_takes_a_contact(house: House, studio: Studio) -> None:
    body = {
        "name": "V", "language": "en", "grantee": "studio", "purpose": "narration", "subject_name": "P",
        "contact": "paul@example.org",
    }  # fmt: skip
    assert house.post("/v1/voices/enrolments", body, key=studio.keys["admin"]).status_code == 201
    assert letters(house.config.consent.data_dir)[-1].to == "paul@example.org"
    wrong = house.post("/v1/voices/enrolments", {**body, "contact": "nobody"}, key=studio.keys["admin"])
    assert (wrong.status_code, code_of(wrong)) == (400, "contact_invalid")


def test_a_persons_links_follow_the_port(house: House) -> None:
    local = AppConfig.local(house.config.consent.data_dir, http={"port": 0})
    assert local.on_port(8123).consent.subject_page == "http://127.0.0.1:8123/me"
    elsewhere = {"data_dir": "x", "subject_page": "https://voices.example.org/me"}
    config = AppConfig.model_validate({"consent": elsewhere, "engine": {"name": "embedded"}})
    assert config.on_port(8123).consent.subject_page == "https://voices.example.org/me"


# presets --------------------------------------------------------------------------------------------------------------
def test_the_preset_speakers_are_listed_and_named_to_whoever_asks_for_another(
    house: House, studio: Studio
) -> None:
    narrator = studio.keys["narrator"]
    presets = house.request("GET", "/v1/voices", key=narrator).json()["presets"]
    assert "Vivian" in presets
    anyone = [one["id"] for one in house.request("GET", "/v1/audio/voices").json()["voices"]]
    assert anyone == presets
    own = [one["id"] for one in house.request("GET", "/v1/audio/voices", key=narrator).json()["voices"]]
    assert own == [*presets, studio.voice.voice_id]
    said = {"text": "Hello.", "language": "en", "purpose": "narration", "speaker": "Nobody"}
    refused = house.post("/v1/custom-voice", said, key=narrator)
    assert (refused.status_code, code_of(refused)) == (404, "speaker_unknown")
    assert refused.json()["error"]["param"] == "speaker"
    assert ", ".join(presets) in refused.json()["error"]["message"]
    said = {"input": "Hello.", "model": "m", "voice": "nobody", "purpose": "narration"}
    refused = house.post("/v1/audio/speech", said, key=narrator)
    assert (refused.status_code, code_of(refused)) == (404, "voice_unknown")
    assert ", ".join(presets) in refused.json()["error"]["message"]


# stored clips ---------------------------------------------------------------------------------------------------------
def test_a_narrator_sees_a_record_without_a_path_of_the_server(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    path = f"/v1/clips/{clip.headers['x-clip-id']}/record"
    seen = house.request("GET", path, key=studio.keys["narrator"])
    assert seen.json()["objects"] == []
    assert str(house.clip_folder) not in seen.text
    assert seen.json()["standing"] == "live"
    assert not {"watermark", "fingerprint"} & set(seen.json())
    auditor = house.request("GET", path, key=studio.keys["auditor"]).json()
    assert str(house.clip_folder) in auditor["objects"][0]


def parts_of(house: House, studio: Studio, clip: httpx.Response, wanted: str, **more: str) -> httpx.Response:
    path = f"/v1/clips/{clip.headers['x-clip-id']}"
    return house.request("GET", path, key=studio.keys["narrator"], headers={"Range": wanted, **more})


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=0-99", 0, 99),
        ("bytes=100-", 100, None),
        ("bytes=-50", -50, None),
        ("bytes=44-999999999", 44, None),
    ],
)
def test_a_part_of_a_stored_clip_is_given(
    house: House, studio: Studio, clip: httpx.Response, wanted: str, first: int, last: int | None
) -> None:
    whole = clip.content
    answer = parts_of(house, studio, clip, wanted)
    begins = first % len(whole)
    ends = len(whole) - 1 if last is None else last
    assert (answer.status_code, answer.content) == (206, whole[begins : ends + 1])
    assert answer.headers["content-range"] == f"bytes {begins}-{ends}/{len(whole)}"
    assert answer.headers["x-clip-id"] == clip.headers["x-clip-id"]


@pytest.mark.parametrize("wanted", ["bytes=0-1,5-6", "lines=1-2", "bytes=9-3", "bytes=-", "bytes=x-", "7"])
def test_a_range_that_is_not_one_range_of_bytes_gives_the_whole_clip(
    house: House, studio: Studio, clip: httpx.Response, wanted: str
) -> None:
    answer = parts_of(house, studio, clip, wanted)
    assert (answer.status_code, answer.content) == (200, clip.content)
    assert answer.headers["accept-ranges"] == "bytes"


def test_a_range_past_the_end_is_refused_with_the_length(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    size = len(clip.content)
    for wanted in (f"bytes={size}-", "bytes=-0"):
        answer = parts_of(house, studio, clip, wanted)
        assert (answer.status_code, code_of(answer)) == (416, "range_not_satisfiable")
        assert answer.headers["content-range"] == f"bytes */{size}"


def test_only_the_same_bytes_are_continued(house: House, studio: Studio, clip: httpx.Response) -> None:
    etag = parts_of(house, studio, clip, "bytes=0-9").headers["etag"]
    assert parts_of(house, studio, clip, "bytes=0-9", **{"If-Range": etag}).status_code == 206
    assert parts_of(house, studio, clip, "bytes=0-9", **{"If-Range": '"other"'}).status_code == 200


def test_head_tells_of_a_clip_and_hands_nothing_out(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    path, before = f"/v1/clips/{clip.headers['x-clip-id']}", studio.log()
    answer = house.request("HEAD", path, key=studio.keys["narrator"])
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) == len(clip.content)
    assert answer.headers["content-type"] == clip.headers["content-type"]
    assert studio.log() == before, "nothing was used"
    studio.revoke()
    assert house.request("HEAD", path, key=studio.keys["narrator"]).status_code == 403


# verification ---------------------------------------------------------------------------------------------------------
def test_a_clip_in_a_form_is_verified_like_the_raw_body(
    house: House, clip: httpx.Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_file(*_: object, **__: object) -> None:
        raise AssertionError("an upload was spooled to a disk")

    for name in ("SpooledTemporaryFile", "TemporaryFile", "NamedTemporaryFile"):
        monkeypatch.setattr(tempfile, name, no_file)
    raw = house.request("POST", "/v1/verify", content=clip.content).json()
    assert (raw["origin"], raw["integrity"]) == ("ours", "intact")
    curl = {"content-type": "application/x-www-form-urlencoded"}  # what --data-binary says
    assert house.request("POST", "/v1/verify", content=clip.content, headers=curl).json() == raw
    form: Any = {"file": ("evening.wav", clip.content, "audio/wav")}
    assert house.request("POST", "/v1/verify", files=form).json() == raw


def test_a_detached_manifest_may_come_in_a_form(house: House, studio: Studio) -> None:
    said = {"text": "Good evening.", "language": "en", "purpose": "narration", "speaker": "Vivian"}
    body = {**said, "response_format": "opus"}
    narrator = studio.keys["narrator"]
    made = house.post("/v1/custom-voice", body, key=narrator)
    manifest = house.request("GET", f"/v1/clips/{made.headers['x-clip-id']}/manifest", key=narrator).content
    form: Any = {"file": ("a.opus", made.content), "manifest": ("a.c2pa", manifest)}
    verdict = house.request("POST", "/v1/verify", files=form).json()
    assert (verdict["origin"], verdict["integrity"]) == ("ours", "intact")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\nRIFF"),
        ("multipart/form-data; boundary=x", b"RIFF" + bytes(100)),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name=clip\r\n\r\nRIFF\r\n--x--\r\n",
        ),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n" * 9 + b"--x--\r\n",
        ),
        ("multipart/form-data; boundary=x", b"--x\r\nX: " + b"y" * 9_000 + b"\r\n\r\n\r\n--x--\r\n"),
    ],
)
def test_a_form_that_holds_no_clip_is_refused_and_never_taken_for_sound(
    house: House, content_type: str, body: bytes
) -> None:
    answer = house.request("POST", "/v1/verify", content=body, headers={"content-type": content_type})
    assert (answer.status_code, code_of(answer)) == (400, "form_invalid")


# what is wrong with a request -----------------------------------------------------------------------------------------
def test_a_body_without_its_content_type_is_told_so(house: House, studio: Studio) -> None:
    for headers in ({}, {"content-type": "text/plain"}):
        answer = house.request(
            "POST", "/v1/custom-voice", key=studio.keys["narrator"], content=b'{"text": "x"}', headers=headers
        )
        assert (answer.status_code, code_of(answer)) == (415, "media_type_unsupported")
        assert "application/json" in answer.json()["error"]["message"]


def test_a_body_that_is_not_json_names_no_parameter(house: House, studio: Studio) -> None:
    answer = house.request(
        "POST", "/v1/custom-voice", key=studio.keys["narrator"], content=b'{"text": "x",,}',
        headers={"content-type": "application/json"},
    )  # fmt: skip
    assert (answer.status_code, code_of(answer)) == (400, "json_invalid")
    assert answer.json()["error"]["param"] is None


def test_whoever_sends_no_good_key_learns_how_to_send_one(house: House) -> None:
    for key in (None, "vouch_x_y"):
        assert house.request("GET", "/v1/voices", key=key).headers["www-authenticate"] == "Bearer"


def test_what_two_surfaces_named_differently_is_there_under_both_names(house: House, studio: Studio) -> None:
    """Earlier clients go on working."""
    reviewer = studio.api_key(Role.REVIEWER)
    for path in ("review/reference", "statement?part=reference"):
        answer = house.request("GET", f"/v1/voices/{studio.voice.voice_id}/{path}", key=reviewer)
        assert (answer.status_code, code_of(answer)) == (409, "voice_not_in_review")
