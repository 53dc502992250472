"""A batch is decided from one query, or two of one moment, and as each of its claims would have been alone."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from consent_service.errors import Unauthenticated
from consent_service.gate.facts import FactQuery
from consent_service.models import Allow, Deny, SpeechClaim
from tests.assets.installation import Tenant

pytestmark = pytest.mark.on_both_databases


def mixed(world: Tenant) -> list[SpeechClaim]:
    """By binding and by token, in known voices and unknown ones, with and without a reference."""
    other = world.enrol("Another voice", hertz=210.0)
    theirs = world.record(other)
    return [
        world.claim("bound"),
        world.claim("brought", consent_token=world.consent.consent_token),
        world.claim("another", voice_id=other.voice_id, consent_token=theirs.consent_token),
        world.claim("crossed", voice_id=other.voice_id, consent_token=world.consent.consent_token),
        world.claim("unbound", voice_id=other.voice_id),
        world.claim("nobody's", consent_token="not a token"),
        world.claim("nowhere", voice_id="voice_unheard_of"),
        world.claim("preset", mode="custom", voice_id="Vivian"),
    ]


def outcome(decision: Allow | Deny) -> tuple[str, str | None]:
    if isinstance(decision, Deny):
        return decision.code, None
    return decision.grant.voice_id, decision.grant.consent_id


def test_a_batch_is_decided_as_its_claims_are_alone(world: Tenant) -> None:
    claims = mixed(world)
    together = world.service.gate.authorize_many(world.narrator, claims)
    alone = [world.service.gate.authorize(world.narrator, claim) for claim in claims]
    assert [outcome(each) for each in together] == [outcome(each) for each in alone]
    assert [isinstance(each, Allow) for each in together] == [
        True,
        True,
        True,
        False,
        False,
        False,
        False,
        True,
    ]


def test_a_batch_of_one_kind_is_one_query_whatever_its_size(world: Tenant) -> None:
    asked: list[str] = []
    engine = world.core.ledger._lookers
    event.listen(engine, "before_cursor_execute", lambda *about: asked.append(about[2]))
    for brought in (None, world.consent.consent_token):
        asked.clear()
        claims = [world.claim(str(number), consent_token=brought) for number in range(300)]
        assert all(world.service.gate.authorize_many(world.narrator, claims))
        assert len(asked) == 1


def test_a_batch_past_the_limit_of_a_query_is_asked_in_parts() -> None:
    claims = [
        SpeechClaim("clone", f"voice_{number}", "en", "0" * 64, 1, consent_token=token)
        for number in range(1_500)
        for token in (None, f"token {number}")
    ]
    question = FactQuery.of(claims)
    assert [len(part) for part in question.bound] == [1000, 500]
    assert [len(part) for part in question.brought] == [1000, 500]
    assert not question.is_one_query


def test_who_asks_for_nothing_is_asked_who_they_are(world: Tenant) -> None:
    assert world.service.gate.authorize_many(world.narrator, []) == []
    world.service.tenants.revoke_key(world.admin, world.narrator.key_id)
    for claims in ([], [world.claim()], [world.claim(consent_token=world.consent.consent_token)]):
        with pytest.raises(Unauthenticated):
            world.service.gate.authorize_many(world.narrator, claims)
