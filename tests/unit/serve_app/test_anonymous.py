"""Anyone may ask whose a clip is: often enough for a person, too seldom to take a mark out try by try."""

from __future__ import annotations

import json
import struct

import httpx
import pytest

from consent_service.http.errors import answer
from serve_app.errors import STATUS, RequestRefused
from serve_app.ingress.anonymous import AnonymousRateLimiter
from tests.unit.serve_app.house import House, Studio, code_of

SAID = {"text": "Who made this?", "language": "en", "speaker": "Vivian", "purpose": "narration"}


@pytest.fixture(scope="module")
def studio(house: House) -> Studio:
    return house.studio()


@pytest.fixture(scope="module")
def clip(house: House, studio: Studio) -> bytes:
    answer = house.request("POST", "/v1/custom-voice", json=SAID, key=studio.keys["narrator"])
    assert answer.status_code == 200
    return answer.content


def ask(house: House, body: bytes, key: str | None = None, **headers: str) -> httpx.Response:
    return house.request("POST", "/v1/verify", content=body, key=key, headers=headers)


def refused(limiter: AnonymousRateLimiter, client: str | None) -> RequestRefused | None:
    try:
        limiter.acquire({"type": "http", "headers": [], "client": client and (client, 1234)})
    except RequestRefused as exc:
        return exc
    return None


def test_an_address_has_its_turns_and_then_waits() -> None:
    limiter = AnonymousRateLimiter(burst=3, per_minute=6)
    assert [refused(limiter, "192.0.2.7") for _ in range(3)] == [None] * 3
    told = refused(limiter, "192.0.2.7")
    assert told is not None
    sent = answer("id", told, STATUS)
    assert (told.code, sent.status_code, sent.headers["retry-after"]) == ("rate_limited", 429, "10")
    assert refused(limiter, "192.0.2.8") is None


def test_one_subscriber_is_one_caller_whatever_address_it_takes() -> None:
    limiter = AnonymousRateLimiter(burst=2, per_minute=1)
    assert refused(limiter, "2001:db8:1:2::1") is None
    assert refused(limiter, "2001:db8:1:2:ffff::9") is None
    assert refused(limiter, "2001:db8:1:2::77") is not None
    assert refused(limiter, "2001:db8:1:3::1") is None
    assert refused(limiter, "::ffff:192.0.2.7") is None
    assert refused(limiter, "192.0.2.7") is None
    assert refused(limiter, "192.0.2.7") is not None


def test_who_hides_its_address_shares_the_turns_of_all_who_do() -> None:
    limiter = AnonymousRateLimiter(burst=1, per_minute=1)
    assert refused(limiter, None) is None
    assert refused(limiter, "not an address") is not None


# over HTTP --------------------------------------------------------------------------------------------------


def test_a_stranger_is_told_to_wait_and_a_caller_with_a_key_is_not(
    house: House, studio: Studio, clip: bytes
) -> None:
    many = house.context.anonymous
    object.__setattr__(house.context, "anonymous", AnonymousRateLimiter(burst=2, per_minute=0.1))
    assert [ask(house, clip).status_code for _ in range(2)] == [200, 200]
    waits = ask(house, clip)
    assert (waits.status_code, code_of(waits)) == (429, "rate_limited")
    assert int(waits.headers["retry-after"]) > 60
    assert ask(house, clip, studio.keys["auditor"]).status_code == 200
    # A made-up key is no way around it, and costs nobody any work:
    assert ask(house, clip, "vouch_no_such").status_code == 401
    object.__setattr__(house.context, "anonymous", many)


def test_a_stranger_learns_two_answers_and_a_sentence(house: House, studio: Studio, clip: bytes) -> None:
    told = ask(house, clip).json()
    assert told.keys() == {"origin", "integrity", "sentence"}
    assert (told["origin"], told["integrity"]) == ("ours", "intact")
    everything = json.dumps(ask(house, clip, studio.keys["auditor"]).json())
    for secret in ("evidence", "standing", "clip_id", "keyed_mark", "presence"):
        assert secret in everything
        assert secret not in json.dumps(told)


def test_a_stranger_is_not_told_whether_the_keyed_mark_is_still_there(
    house: House, studio: Studio, clip: bytes
) -> None:
    bare = without_manifest(clip)
    assert ask(house, bare).json()["origin"] == "synthetic, not ours"
    assert ask(house, bare, studio.keys["auditor"]).json()["origin"] in ("ours", "our mark, unconfirmed")


def without_manifest(clip: bytes) -> bytes:
    end = clip.index(b"C2PA")
    return clip[:4] + struct.pack("<I", end - 8) + clip[8:end]


def manifest_of(clip: bytes) -> bytes:
    at = clip.index(b"C2PA") + 4
    (size,) = struct.unpack_from("<I", clip, at)
    return clip[at + 4 : at + 4 + size]


def test_a_detached_manifest_comes_before_the_clip(house: House, clip: bytes) -> None:
    sidecar, other = manifest_of(clip), without_manifest(clip)
    told = ask(house, sidecar + other, **{"X-Manifest-Length": str(len(sidecar))}).json()
    # Ours, but signed over another file: the embedded one.
    assert (told["origin"], told["integrity"]) == ("our mark, unconfirmed", "altered")


@pytest.mark.parametrize("length", ["0", "-1", "x", "2097153", "99999999999999"])
def test_a_length_that_is_none_is_refused(house: House, clip: bytes, length: str) -> None:
    answer = ask(house, clip, **{"X-Manifest-Length": length})
    assert (answer.status_code, code_of(answer)) == (400, "request_invalid")


def test_a_length_that_leaves_no_clip_is_refused(house: House, clip: bytes) -> None:
    answer = ask(house, clip[:100], **{"X-Manifest-Length": "100"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "X-Manifest-Length")


def test_who_may_see_a_clip_need_not_have_kept_its_manifest(house: House, studio: Studio) -> None:
    """The sound names the clip, and the clip's manifest is in our store."""
    said = {
        **SAID,
        "text": "A clip that travels without its manifest, and long enough to be known by its sound.",
    }
    made = house.request(
        "POST", "/v1/custom-voice", json={**said, "response_format": "opus"}, key=studio.keys["narrator"]
    )
    assert (made.status_code, made.headers["content-type"]) == (200, "audio/ogg")
    assert ask(house, made.content).json()["integrity"] == "metadata stripped"
    told = ask(house, made.content, studio.keys["auditor"]).json()
    assert (told["origin"], told["integrity"]) == ("ours", "intact")
    assert told["evidence"]["manifest"]["state"] == "Trusted"
    # Other bytes are not what it was signed over, however alike they sound.
    told = ask(house, made.content + b"\x00", studio.keys["auditor"]).json()
    assert (told["origin"], told["integrity"]) == ("ours", "metadata stripped")
