"""Tenants are walls: nothing of one can be fetched, named, used or guessed at by another (DESIGN I9)."""

from __future__ import annotations

import shutil

import pytest

from consent_service.http.consent_api import Caller
from serve_app.call_signing import CallSigner
from serve_app.errors import RequestRefused
from serve_app.gate.consent_api import GateConsentApi, SealedConsentApi
from serve_app.handles import Callee
from tests.unit.serve_app.house import House, Studio, code_of

SAID = {"text": "Good morning.", "language": "en", "purpose": "narration"}


@pytest.fixture
def neighbour(house: House) -> Studio:
    return house.studio()


@pytest.fixture
def clip_id(house: House, studio: Studio) -> str:
    made = house.post(
        "/v1/voice-clone", {**SAID, "voice_id": studio.voice.voice_id}, key=studio.keys["narrator"]
    )
    return made.headers["x-clip-id"]


@pytest.mark.parametrize("part", ["", "/manifest", "/record"])
@pytest.mark.parametrize("who", ["admin", "narrator", "auditor"])
def test_another_tenants_clip_is_not_found(
    house: House, neighbour: Studio, clip_id: str, part: str, who: str
) -> None:
    theirs = house.request("GET", f"/v1/clips/{clip_id}{part}", key=neighbour.keys[who])
    nobodys = house.request("GET", f"/v1/clips/{'0' * 32}{part}", key=neighbour.keys[who])
    assert (theirs.status_code, code_of(theirs)) == (nobodys.status_code, code_of(nobodys))
    assert theirs.json()["error"]["message"] == nobodys.json()["error"]["message"]
    assert theirs.status_code in (403, 404)


def test_another_tenants_voice_is_as_unknown_as_none(house: House, studio: Studio, neighbour: Studio) -> None:
    answers = [
        house.post(
            "/v1/voice-clone",
            {**SAID, "voice_id": voice, "consent_token": token},
            key=neighbour.keys["narrator"],
        )
        for voice, token in ((studio.voice.voice_id, studio.consent.consent_token), ("voice_none", "x"))
    ]
    assert [(a.status_code, code_of(a)) for a in answers] == [(404, "voice_unknown")] * 2
    assert (
        house.request("GET", f"/v1/voices/{studio.voice.voice_id}", key=neighbour.keys["admin"]).status_code
        == 404
    )


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/consents/{consent}", None),
        ("GET", "/v1/consents/{consent}/receipt", None),
        ("POST", "/v1/consents/{consent}/revoke", {"reason": "mischief"}),
        ("POST", "/v1/consents/{consent}/narrow", {"purposes": ["narration"]}),
        ("POST", "/v1/voices/{voice}/decommission", {"reason": "mischief"}),
    ],
)
def test_another_tenants_consent_and_voice_cannot_be_touched(
    house: House, studio: Studio, neighbour: Studio, method: str, path: str, body: dict[str, object] | None
) -> None:
    path = path.format(consent=studio.consent.consent.consent_id, voice=studio.voice.voice_id)
    answer = house.request(method, path, key=neighbour.keys["admin"], json=body)
    assert answer.status_code == 404
    said = {**SAID, "voice_id": studio.voice.voice_id}
    assert house.post("/v1/voice-clone", said, key=studio.keys["narrator"]).status_code == 200


def test_lists_hold_the_callers_own(house: House, studio: Studio, neighbour: Studio) -> None:
    voices = house.request("GET", "/v1/voices", key=neighbour.keys["admin"]).json()["voices"]
    assert [v["voice_id"] for v in voices] == [neighbour.voice.voice_id]
    consents = house.request("GET", "/v1/consents", key=neighbour.keys["admin"]).json()["consents"]
    assert [c["voice_id"] for c in consents] == [neighbour.voice.voice_id]
    path = f"/v1/consents?voice_id={studio.voice.voice_id}"
    assert house.request("GET", path, key=neighbour.keys["admin"]).json()["consents"] == []
    entries = house.request("GET", "/v1/audit/entries", key=neighbour.keys["auditor"]).json()["entries"]
    assert studio.voice.voice_id not in "".join(entries)


def test_the_verdict_on_another_tenants_clip_is_the_public_one(
    house: House, studio: Studio, neighbour: Studio, clip_id: str
) -> None:
    clip = house.request("GET", f"/v1/clips/{clip_id}", key=studio.keys["narrator"]).content
    theirs = house.request("POST", "/v1/verify", key=neighbour.keys["auditor"], content=clip).json()
    assert theirs == house.request("POST", "/v1/verify", content=clip).json()


def test_a_cache_entry_moved_next_door_opens_for_no_one(
    house: House, studio: Studio, neighbour: Studio, clip_id: str
) -> None:
    said = {**SAID, "voice_id": neighbour.voice.voice_id}
    made = house.post("/v1/voice-clone", said, key=neighbour.keys["narrator"])
    assert made.status_code == 200
    (mine,), (theirs,) = neighbour.stored(), studio.stored()
    shutil.copy(theirs, mine)
    answer = house.post("/v1/voice-clone", said, key=neighbour.keys["narrator"])
    assert (answer.status_code, code_of(answer)) == (503, "vault_error")
    fetched = house.request("GET", f"/v1/clips/{made.headers['x-clip-id']}", key=neighbour.keys["narrator"])
    assert b"RIFF" not in answer.content + fetched.content
    assert fetched.status_code in (404, 503)


def test_a_clip_key_opens_under_its_own_tenant_and_clip_only(
    house: House, studio: Studio, neighbour: Studio
) -> None:
    key, wrapped = house.run(house.gate.new_clip_key(studio.name, "clip-1"))
    assert house.run(house.gate.clip_key(studio.name, "clip-1", wrapped)) == key
    for tenant, clip in ((neighbour.name, "clip-1"), (studio.name, "clip-2")):
        with pytest.raises(RequestRefused) as refused:
            house.run(house.gate.clip_key(tenant, clip, wrapped))
        assert refused.value.code == "vault_error"


def test_a_cached_clip_of_another_tenant_cannot_be_redeemed(
    house: House, studio: Studio, neighbour: Studio, clip_id: str
) -> None:
    allowed = house.service.gate.authorize(neighbour.by("narrator"), neighbour.say().claim())
    with pytest.raises(RequestRefused) as refused:
        house.run(house.gate.redeem_cached(allowed.token, clip_id))  # type: ignore[union-attr]
    assert refused.value.code == "grant_mismatch"


def test_only_named_operations_can_be_asked_for_over_a_handle(house: House, studio: Studio) -> None:
    """Whoever signs a call with the node secret still reaches no more than the protocol, whatever the object has."""
    signer = CallSigner(house.node_secret)
    gate = GateConsentApi(house.service)
    callee = Callee(signer).offer(SealedConsentApi, gate)
    caller = Caller(studio.keys["admin"])
    assert house.run(callee.call(signer.sign("SealedConsentApi.list_voices", (caller,), {})))
    for name in (
        "close",
        "complete_enrolment",
        "open_statement",
        "_principal",
        "_service",
        "__init__",
        "bootstrap",
    ):
        answer = house.run(callee.call(signer.sign(f"SealedConsentApi.{name}", (caller,), {})))
        assert (answer.code, bool(answer)) == ("not_one_of_ours", False), name
    gate.close()
