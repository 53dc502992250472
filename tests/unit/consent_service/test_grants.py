"""A grant is what was signed, for what was asked, in its time; everything else is refused by its kind."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from consent_service.errors import GrantExpired, GrantForged, GrantKeyUnknown, GrantMalformed, GrantMismatch
from consent_service.grants import GrantVerifier, Utterance, VerifiedGrant
from consent_service.proofs.records import KeyPurpose
from tests.assets.installation import Tenant

SAID = Utterance("Good morning. [pause 500ms] All of you.", "en")


@pytest.fixture
def token(world: Tenant) -> str:
    claim = world.claim(said_digest=SAID.digest(), characters=SAID.characters)
    decision = world.service.gate.authorize(world.narrator, claim)
    assert decision, decision
    return str(decision.token)  # type: ignore[union-attr]


def verifier(world: Tenant) -> GrantVerifier:
    return GrantVerifier(world.service.keys.public_keys(KeyPurpose.GRANT), clock=world.clock)


def test_what_was_asked_for_may_be_said(world: Tenant, token: str) -> None:
    assert SAID.characters == len("Good morning. All of you."), "a pause is not counted"
    verified = verifier(world).verify(token, SAID)
    assert verified.grant.said_digest == SAID.digest()
    with pytest.raises(GrantForged):
        VerifiedGrant(verified.grant, token, object())


def test_another_text_or_a_later_time_is_refused(world: Tenant, token: str) -> None:
    with pytest.raises(GrantMismatch):
        verifier(world).verify(token, Utterance("Good evening.", "en"))
    world.clock.now += 31
    with pytest.raises(GrantExpired):
        verifier(world).verify(token, SAID)


def test_what_the_gate_was_told_of_a_text_must_be_the_text_s(world: Tenant) -> None:
    for wrong in ({"characters": 3}, {"language": "de"}):
        asked: dict[str, Any] = {"said_digest": SAID.digest(), "characters": SAID.characters, **wrong}
        decision = world.service.gate.authorize(world.narrator, world.claim(**asked))
        with pytest.raises(GrantMismatch, match="language or length"):
            verifier(world).verify(decision.token, SAID)  # type: ignore[union-attr]


SPOILT: list[tuple[Callable[[dict[str, Any]], object], type[Exception]]] = [
    (lambda body: body.update(v=99), GrantMalformed),
    (lambda body: body.update(basis="wish"), GrantMalformed),
    (lambda body: body.update(more=1), GrantMalformed),
    (lambda body: body.pop("purpose"), GrantMalformed),
    (lambda body: body.update(kid="0" * 16), GrantKeyUnknown),
    (lambda body: body.pop("kid"), GrantMalformed),
]


@pytest.mark.parametrize(("spoil", "error"), SPOILT)
def test_a_grant_of_another_form_is_refused_even_when_it_is_signed(
    world: Tenant, token: str, spoil: Callable[[dict[str, Any]], object], error: type[Exception]
) -> None:
    body = json.loads(_unb64(token.partition(".")[0]))
    spoil(body)
    payload = json.dumps(body, separators=(",", ":"), sort_keys=True).encode()
    forged = f"{_b64(payload)}.{_b64(world.service.keys.signer(KeyPurpose.GRANT).sign(payload))}"
    with pytest.raises(error):
        verifier(world).verify_signature(forged)


def test_a_changed_grant_is_forged(world: Tenant, token: str) -> None:
    head, _, tail = token.partition(".")
    other = _b64(_unb64(head).replace(b'"narration"', b'"dubbing"'))
    with pytest.raises(GrantForged):
        verifier(world).verify_signature(f"{other}.{tail}")
    for nonsense in ("", ".", "é.é", "AAAA.AAAA", f"{_b64(b'[]')}.{tail}"):
        with pytest.raises(GrantMalformed):
            verifier(world).verify_signature(nonsense)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
