"""No consent, no clone, by construction: at HTTP, and for whoever holds a handle to a replica (DESIGN I1)."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_service.grants import Utterance, sign_grant
from consent_service.models import Allow, Role
from consent_service.proofs.records import KeyPurpose
from serve_app.errors import RequestRefused
from serve_app.handles import local
from serve_app.voice.protocol import VoiceReplica
from serve_app.voice.worker import UnstampedClip
from speech.text import prepare
from tests.unit.serve_app.house import House, Parts, Studio, answering, code_of

SAID = prepare("Good morning.", "en")


def allow(studio: Studio, text: str = "Good morning.", **more: Any) -> Allow:
    asked = studio.say(text, **more)
    decision = studio.house.service.gate.authorize(studio.by("narrator"), asked.claim())
    assert isinstance(decision, Allow), decision
    return decision


async def ask(house: House, token: str, utterance: Utterance = SAID, **parts_with: Any) -> tuple[str, Parts]:
    """What a replica answers to someone who holds its handle, and whether its engine was ever asked."""
    parts = await house.parts(house.held_engine(), **parts_with)
    try:
        await local(VoiceReplica, parts.worker).synthesize(token, utterance, 0)
    except RequestRefused as exc:
        assert parts.engine.requests == [], "the engine was never asked"
        return exc.code, parts
    finally:
        await parts.worker.close()
    raise AssertionError("it spoke")


@pytest.mark.parametrize("token", ["", "x", "a.b", "e30.AAAA", "é.é", "." * 5_000])
def test_what_is_no_grant_makes_no_replica_speak(house: House, token: str) -> None:
    async def play() -> None:
        assert (await ask(house, token))[0] in ("grant_malformed", "grant_forged")

    house.run(play())


def test_a_grant_signed_by_another_key_is_forged(house: House, studio: Studio) -> None:
    allowed = allow(studio)
    own = Ed25519PrivateKey.generate()
    trusted = house.service.keys.current_key_id(KeyPurpose.GRANT)
    for kid in (trusted, "own"):
        token = sign_grant(allowed.grant, key_id=kid, sign=own.sign)
        assert house.run(ask(house, token))[0] == "grant_forged"


def test_a_grant_for_another_text_language_or_instruction_does_not_fit(house: House, studio: Studio) -> None:
    token = allow(studio).token
    for said in (
        prepare("Good evening.", "en"),
        prepare("Good morning.", "de"),
        prepare("Good morning.", "en", "loud"),
    ):
        assert house.run(ask(house, token, said))[0] == "grant_mismatch"


def test_a_grant_whose_time_to_start_has_passed_is_expired(house: House, studio: Studio) -> None:
    grant = dataclasses.replace(allow(studio).grant, issued_at=time.time() - 60, start_by=time.time() - 1)
    keys = house.service.keys
    token = sign_grant(
        grant, key_id=keys.current_key_id(KeyPurpose.GRANT), sign=lambda m: keys.sign(KeyPurpose.GRANT, m)[1]
    )
    assert house.run(ask(house, token))[0] == "grant_expired"
    assert studio.log()[-1]["kind"] != "speech.redeemed"


def test_a_grant_can_be_used_once(house: House, studio: Studio) -> None:
    async def play() -> None:
        parts = await house.parts(house.engine)
        replica, order = local(VoiceReplica, parts.worker), (allow(studio).token, SAID, 0)
        assert isinstance(await replica.synthesize(*order), UnstampedClip)
        with pytest.raises(RequestRefused) as again:
            await replica.synthesize(*order)
        await parts.worker.close()
        assert again.value.code == "grant_used"

    house.run(play())


def test_a_grant_issued_before_a_withdrawal_is_dead(house: House, studio: Studio) -> None:
    token = allow(studio).token
    studio.revoke()
    assert house.run(ask(house, token))[0] == "consent_revoked"


def test_a_grant_of_a_key_that_was_revoked_since_is_dead(house: House, studio: Studio) -> None:
    token = allow(studio).token
    house.service.tenants.revoke_key(studio.by("admin"), studio.by("narrator").key_id)
    assert house.run(ask(house, token))[0] == "key_revoked"


def test_a_gate_that_answers_for_another_grant_is_not_believed(house: House, studio: Studio) -> None:
    one, other = allow(studio), allow(studio)
    redeemed = house.service.gate.redeem
    held: dict[str, Any] = {}

    async def play() -> None:
        parts = await house.parts(house.held_engine())
        held["answer"] = redeemed(other.token, parts.worker.identity.replica_id)
        code, _ = await ask(house, one.token, seen_by_voice={"redeem": answering(held["answer"])})
        await parts.worker.close()
        assert code == "grant_mismatch"

    house.run(play())


def test_a_replica_that_is_not_registered_gets_no_reference(house: House, studio: Studio) -> None:
    with pytest.raises(RequestRefused) as refused:
        house.run(house.gate.redeem(allow(studio).token, "replica-of-nobody"))
    assert refused.value.code == "replica_unknown"


def test_a_replica_without_the_node_secret_does_not_start(house: House) -> None:
    async def play() -> None:
        with pytest.raises(RequestRefused) as refused:
            await house.parts(house.held_engine(), node_secret=bytes(32))
        assert refused.value.code == "replica_unknown"

    house.run(play())


CLONE = {"text": "Good morning.", "language": "en", "purpose": "narration"}


@pytest.mark.parametrize(
    ("key_with", "body", "status", "code"),
    [
        ({}, {}, 403, "consent_required"),
        ({}, {"consent_token": "vouch-consent-nonsense"}, 403, "consent_token_invalid"),
        ({"purposes": ("advertising",)}, {}, 403, "purpose_not_claimable"),
        ({"voices": ("preset:*",)}, {}, 404, "voice_unknown"),
        ({"territories": ("DE",)}, {"territory": "FR"}, 403, "territory_not_claimable"),
        ({"channels": ("radio",)}, {"channel": "cinema"}, 403, "channel_not_claimable"),
    ],
)
def test_a_key_without_consent_or_claim_is_refused(
    house: House, studio: Studio, key_with: dict[str, Any], body: dict[str, Any], status: int, code: str
) -> None:
    key = studio.api_key(Role.NARRATOR, **key_with)
    answer = house.post("/v1/voice-clone", {**CLONE, "voice_id": studio.voice.voice_id, **body}, key=key)
    assert (answer.status_code, code_of(answer)) == (status, code)


@pytest.mark.parametrize(
    ("terms", "body", "code"),
    [
        ({"purposes": ("accessibility",)}, {}, "purpose_not_consented"),
        ({"languages": ("de",)}, {}, "language_not_consented"),
        ({"territories": ("DE",)}, {"territory": "FR"}, "territory_not_consented"),
        ({"territories": ("DE",)}, {}, "territory_required"),
        ({"channels": ("radio",)}, {"channel": "cinema"}, "channel_not_consented"),
        ({"valid_from": time.time() + 3_000}, {}, "consent_not_yet_valid"),
    ],
)
def test_what_the_consent_does_not_cover_is_refused(
    house: House, studio: Studio, terms: dict[str, Any], body: dict[str, Any], code: str
) -> None:
    studio.state(studio.voice.voice_id, *terms.get("purposes", ()))
    studio.record(**terms)
    request = {**CLONE, "voice_id": studio.voice.voice_id, **body}
    answer = house.post("/v1/voice-clone", request, key=studio.keys["narrator"])
    assert (answer.status_code, code_of(answer)) == (403, code)


def test_another_grantee_cannot_use_a_token_that_it_found(house: House, studio: Studio) -> None:
    key = studio.api_key(Role.NARRATOR, grantee="another-studio")
    body = {**CLONE, "voice_id": studio.voice.voice_id, "consent_token": studio.consent.consent_token}
    answer = house.post("/v1/voice-clone", body, key=key)
    assert (answer.status_code, code_of(answer)) == (403, "grantee_mismatch")


def test_no_secret_shows_in_a_repr(studio: Studio) -> None:
    asked = studio.say(consent_token=studio.consent.consent_token)
    shown = repr(asked) + repr(asked.claim())
    for secret in (studio.keys["narrator"], studio.consent.consent_token, "Good morning"):
        assert secret not in shown
