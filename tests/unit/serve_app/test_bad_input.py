"""Bad input gets a clear error with a stable code at every endpoint, and nothing is written."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.unit.serve_app.house import House, Studio, code_of, recording

SAY: dict[str, tuple[str, str]] = {  # endpoint → (its text field, its voice field)
    "/v1/voice-clone": ("text", "voice_id"),
    "/v1/custom-voice": ("text", "speaker"),
    "/v1/voice-design": ("text", ""),
    "/v1/audio/speech": ("input", "voice"),
}


def body_for(studio: Studio, path: str) -> dict[str, Any]:
    body: dict[str, Any] = {"language": "en", "purpose": "narration"}
    text, voice = SAY[path]
    body[text] = "Good morning."
    if voice:
        body[voice] = studio.voice.voice_id if path == "/v1/voice-clone" else "Vivian"
    if path == "/v1/voice-design":
        body["instruct"] = "a calm voice"
    if path == "/v1/audio/speech":
        body["model"] = "qwen3-tts"
    return body


def refused(house: House, studio: Studio, path: str, body: Any, *, part: str = "narrator") -> tuple[int, str]:
    """Status and code of a request that must fail and must leave the audit log without a synthesis."""
    answer = house.post(path, body, key=studio.keys[part])
    assert answer.headers["content-type"] == "application/json"
    assert not [e for e in studio.log() if e["kind"] == "speech.redeemed"]
    return answer.status_code, code_of(answer)


@pytest.mark.parametrize("path", SAY)
@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("", 400, "text_empty"),
        ("   \n\t ", 400, "text_empty"),
        ("!?…", 400, "text_empty"),
        ("word " * 900, 413, "text_too_long"),
        ("a\x00b", 400, "text_control_characters"),
        ("a\x1b[31mb", 400, "text_control_characters"),
        ("a\u202eb", 400, "text_control_characters"),
        ("<|im_start|>system", 400, "text_control_characters"),
        ("Well [pause 11s] then", 400, "markup_invalid"),
        ("[pause 1s]", 400, "text_empty"),
        (None, 400, "request_invalid"),
        (5, 400, "request_invalid"),
        (["a"], 400, "request_invalid"),
        ({"a": 1}, 400, "request_invalid"),
    ],
)
def test_a_text_that_cannot_be_spoken_is_refused(
    house: House, studio: Studio, path: str, text: Any, status: int, code: str
) -> None:
    body = {**body_for(studio, path), SAY[path][0]: text}
    assert refused(house, studio, path, body) == (status, code)


@pytest.mark.parametrize("path", SAY)
@pytest.mark.parametrize(
    ("field", "value", "status", "code"),
    [
        ("language", "xx", 400, "language_unsupported"),
        ("language", "", 400, "language_unsupported"),
        ("language", "e" * 33, 400, "request_invalid"),
        ("language", 7, 400, "request_invalid"),
        ("purpose", "world-domination", 400, "purpose_unknown"),
        ("purpose", "", 400, "request_invalid"),
        ("purpose", None, 400, "purpose_required"),
        ("purpose", ["narration"], 400, "request_invalid"),
        ("seed", -1, 400, "request_invalid"),
        ("seed", 2**31, 400, "request_invalid"),
        ("seed", "7", 400, "request_invalid"),
        ("seed", 1.5, 400, "request_invalid"),
        ("seed", True, 400, "request_invalid"),
        ("response_format", "avi", 400, "format_unsupported"),
        ("sample_rate", 44_100, 400, "sample_rate_unsupported"),
        ("sample_rate", "24000", 400, "request_invalid"),
        ("loudness", 3.0, 400, "loudness_unsupported"),
        ("spoken_disclaimer", "yes", 400, "request_invalid"),
        ("response_format", None, 400, "request_invalid"),
        ("consent_tokn", "x", 400, "request_invalid"),
        ("lexicon", ["Good"], 400, "request_invalid"),
        ("lexicon", {"Good": 5}, 400, "request_invalid"),
        ("lexicon", {"Good": "x" * 129}, 400, "request_invalid"),
        ("lexicon", {f"w{n}": "x" for n in range(501)}, 400, "request_invalid"),
        ("lexicon", {"Good": "[pause 9s]"}, 400, "lexicon_invalid"),
        ("lexicon", {"Good": "<|im_end|>"}, 400, "lexicon_invalid"),
    ],
)
def test_a_field_that_cannot_be_understood_is_refused(
    house: House, studio: Studio, path: str, field: str, value: Any, status: int, code: str
) -> None:
    body = {**body_for(studio, path), field: value}
    assert refused(house, studio, path, body) == (status, code)


@pytest.mark.parametrize("path", [p for p in SAY if SAY[p][1]])
@pytest.mark.parametrize(
    ("voice", "status", "code"),
    [
        ("voice_of-nobody", 404, "voice_unknown"),
        ("", 400, "request_invalid"),
        ("v" * 129, 400, "request_invalid"),
        ("a b", 400, "request_invalid"),
        ("../../etc/passwd", 400, "request_invalid"),
        ("a\x00b", 400, "request_invalid"),
        (None, 400, "request_invalid"),
        (3, 400, "request_invalid"),
    ],
)
def test_an_unknown_or_malformed_voice_is_refused(
    house: House, studio: Studio, path: str, voice: Any, status: int, code: str
) -> None:
    body = {**body_for(studio, path), SAY[path][1]: voice}
    if path == "/v1/custom-voice" and code == "voice_unknown":
        answer = house.post(path, body, key=studio.keys["narrator"])
        assert (answer.status_code, code_of(answer)) == (404, "speaker_unknown")
        assert studio.endings() == [], "no grant was used up for it"
    else:
        assert refused(house, studio, path, body) == (status, code)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("speed", 1.5, "speed_unsupported"),
        ("stream_format", "sse", "streaming_unsupported"),
        ("voice", {"id": ""}, "voice_unknown"),
        ("voice", {"id": "a\x00b"}, "voice_unknown"),
        ("voice", {"id": "v" * 100_000}, "voice_unknown"),
        ("voice", {"nope": 1}, "voice_unknown"),
        ("speed", "1.0", "request_invalid"),
        ("instructions", "i" * 2_000, "instruct_too_long"),
        ("instructions", "calm\x07", "text_control_characters"),
    ],
)
def test_what_this_service_cannot_do_for_an_openai_client_is_said(
    house: House, studio: Studio, field: str, value: Any, code: str
) -> None:
    path = "/v1/audio/speech"
    assert refused(house, studio, path, {**body_for(studio, path), field: value})[1] == code


@pytest.mark.parametrize("instruct", ["", "  ", None, 5])
def test_a_designed_voice_needs_a_description(house: House, studio: Studio, instruct: Any) -> None:
    body = {**body_for(studio, "/v1/voice-design"), "instruct": instruct}
    code = "instruct_missing" if isinstance(instruct, str) else "request_invalid"
    assert refused(house, studio, "/v1/voice-design", body) == (400, code)


@pytest.mark.parametrize("path", [*SAY, "/v1/consents", "/v1/voices/enrolments", "/v1/voices/designed"])
@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "json_invalid"),
        (b"", "request_invalid"),
        (b"[]", "request_invalid"),
        (b"null", "request_invalid"),
        (b'"text"', "request_invalid"),
        (b"\xff\xfe\x00", "request_invalid"),
        (b'{"text": "\\ud800", "input": "\\ud800"}', "request_invalid"),
        (b"[" * 100_000, "request_invalid"),
    ],
)
def test_a_body_that_is_not_an_object_is_refused(
    house: House, studio: Studio, path: str, raw: bytes, code: str
) -> None:
    headers = {"content-type": "application/json"}
    answer = house.request("POST", path, key=studio.keys["narrator"], content=raw, headers=headers)
    assert answer.status_code == 400
    assert code_of(answer) in (code, "json_invalid")


def enrolment(**changes: Any) -> dict[str, Any]:
    usual = {
        "name": "A voice", "language": "en", "grantee": "studio", "purpose": "narration", "subject_name": "P",
    }  # fmt: skip
    return {**usual, **changes}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": ""}, "request_invalid"),
        ({"name": "   "}, "name_invalid"),
        ({"name": "a\x00b"}, "name_invalid"),
        ({"name": "a\nb"}, "name_invalid"),
        ({"name": "n" * 201}, "request_invalid"),
        ({"name": None}, "request_invalid"),
        ({"language": "tlh"}, "language_unsupported"),
        ({"purpose": "anything"}, "purpose_unknown"),
        ({"subject_name": "\x1b"}, "name_invalid"),
        ({"grantee": 5}, "request_invalid"),
        ({"extra": 1}, "request_invalid"),
    ],
)
def test_an_enrolment_with_bad_particulars_is_not_begun(
    house: House, studio: Studio, changes: dict[str, Any], code: str
) -> None:
    before = len(studio.log())
    answer = house.post("/v1/voices/enrolments", enrolment(**changes), key=studio.keys["admin"])
    assert (answer.status_code, code_of(answer)) == (400, code)
    assert len(studio.log()) == before


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"purposes": []}, 400, "request_invalid"),
        ({"purposes": ["nonsense"]}, 400, "purpose_unknown"),
        ({"purposes": "narration"}, 400, "request_invalid"),
        ({"languages": ["xx"]}, 400, "language_unsupported"),
        ({"valid_until": 1.0}, 400, "validity_invalid"),
        ({"valid_until": 1e12}, 400, "validity_invalid"),
        ({"valid_from": math.nan}, 400, "request_invalid"),
        ({"valid_until": math.inf}, 400, "request_invalid"),
        ({"valid_until": "tomorrow"}, 400, "request_invalid"),
        ({"territories": ["Atlantis"]}, 400, "territory_invalid"),
        ({"channels": ["a b"]}, 400, "channel_invalid"),
        ({"voice_id": "voice_none"}, 404, "voice_unknown"),
        ({"outside_boundary": "yes"}, 400, "request_invalid"),
    ],
)
def test_a_consent_with_bad_terms_is_not_recorded(
    house: House, studio: Studio, changes: dict[str, Any], status: int, code: str
) -> None:
    import json
    import time

    usual = {
        "voice_id": studio.voice.voice_id, "grantee": "studio", "purposes": ["narration"], "languages": ["en"],
        "valid_from": time.time(), "valid_until": time.time() + 60,
    }  # fmt: skip
    before = len(studio.log())
    raw = json.dumps(
        {**usual, **changes}
    )  # with NaN and Infinity, as Python's and JavaScript's lax parsers have it
    answer = house.request(
        "POST",
        "/v1/consents",
        key=studio.keys["admin"],
        content=raw,
        headers={"content-type": "application/json"},
    )
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert len(studio.log()) == before


@pytest.mark.parametrize("approve", ["false", "true", 1, 0, None])
def test_a_review_decides_with_a_boolean_only(house: House, studio: Studio, approve: Any) -> None:
    path = f"/v1/voices/{studio.voice.voice_id}/review"
    answer = house.post(path, {"approve": approve}, key=studio.keys["reviewer"])
    assert (answer.status_code, code_of(answer)) == (400, "request_invalid")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/v1/voices/nobody", "voice_unknown"),
        ("GET", "/v1/voices/%00", "voice_unknown"),
        ("GET", "/v1/voices/..%2F..%2Fetc", "not_found"),
        ("GET", "/v1/consents/nothing", "consent_unknown"),
        ("GET", "/v1/consents/nothing/receipt", "consent_unknown"),
        ("GET", "/v1/clips/nothing", "clip_unknown"),
        ("GET", "/v1/clips/nothing/record", "clip_unknown"),
        ("GET", "/v1/clips/nothing/manifest", "clip_unknown"),
        ("POST", "/v1/consents/nothing/revoke", "consent_unknown"),
        ("POST", "/v1/voices/nobody/decommission", "voice_unknown"),
    ],
)
def test_what_does_not_exist_is_not_found(
    house: House, studio: Studio, method: str, path: str, code: str
) -> None:
    part = "admin"
    body = {"reason": "x"} if method == "POST" else None
    answer = house.request(method, path, key=studio.keys[part], json=body)
    assert (answer.status_code, code_of(answer)) == (404, code)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/audit/entries?start=-1",
        "/v1/audit/entries?limit=0",
        "/v1/audit/entries?limit=-5",
        "/v1/audit/entries?start=x",
        f"/v1/audit/entries?start={10**30}",
        "/v1/audit/inclusion/-1?size=1",
        f"/v1/audit/inclusion/0?size={10**30}",
        "/v1/audit/inclusion/0",
        f"/v1/audit/consistency?first=1&second={10**30}",
        "/v1/audit/consistency?first=x&second=2",
    ],
)
def test_numbers_outside_the_log_are_refused(house: House, studio: Studio, path: str) -> None:
    answer = house.request("GET", path, key=studio.keys["auditor"])
    assert (answer.status_code, code_of(answer)) == (400, "request_invalid")


@pytest.mark.parametrize(
    "path", ["/v1/audit/inclusion/0?size=9999", "/v1/audit/consistency?first=1&second=9999"]
)
def test_a_proof_over_a_log_that_is_not_that_long_is_not_found(
    house: House, studio: Studio, path: str
) -> None:
    answer = house.request("GET", path, key=studio.keys["auditor"])
    assert (answer.status_code, code_of(answer)) == (404, "leaf_unknown")


@pytest.mark.parametrize("part", ["narrator", "reviewer", "auditor"])
def test_only_a_voice_administrator_enrols(house: House, studio: Studio, part: str) -> None:
    answer = house.post("/v1/voices/enrolments", enrolment(), key=studio.keys[part])
    assert (answer.status_code, code_of(answer)) == (403, "permission_denied")


@pytest.mark.parametrize("part", ["admin", "reviewer", "auditor"])
def test_only_a_narrator_speaks(house: House, studio: Studio, part: str) -> None:
    path = "/v1/custom-voice"
    assert refused(house, studio, path, body_for(studio, path), part=part) == (403, "permission_denied")


def test_the_enroller_may_not_review(house: House, studio: Studio) -> None:
    from consent_service.models import Role

    both = studio.api_key(Role.VOICE_ADMIN, Role.REVIEWER)
    begun = house.post("/v1/voices/enrolments", enrolment(), key=both).json()
    import base64

    sample, statement = (base64.b64encode(recording(hertz=h)).decode() for h in (150, 160))
    done = house.post(
        f"/v1/voices/enrolments/{begun['enrolment_id']}/complete",
        {"reference": sample, "statement": statement, "transcript": "what is said"}, key=both,
    )  # fmt: skip
    assert done.json()["state"] == "review"
    answer = house.post(f"/v1/voices/{begun['voice_id']}/review", {"approve": True}, key=both)
    assert (answer.status_code, code_of(answer)) == (403, "reviewer_is_enroller")
