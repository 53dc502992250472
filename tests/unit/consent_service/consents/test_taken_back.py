"""Who withdraws or narrows a consent takes their words back: nobody records them a second time."""

from __future__ import annotations

from typing import Any

import pytest

from consent_service.errors import InvalidInput
from tests.assets.installation import DAY, Tenant
from tests.assets.voiced import voiced


def state(world: Tenant, purpose: str = "narration") -> None:
    """A further statement, approved."""
    challenge = world.service.voices.begin_statement(
        world.admin, world.voice.voice_id, grantee="studio", purpose=purpose
    )
    world.service.voices.complete_statement(world.admin, challenge.enrolment_id, statement=voiced(3.5))
    world.service.voices.review(world.reviewer, world.voice.voice_id, approve=True)


def assert_taken_back(world: Tenant, **terms: Any) -> None:
    with pytest.raises(InvalidInput, match="withdrawn or narrowed") as refused:
        world.record(**terms)
    assert refused.value.code == "evidence_does_not_cover"


def test_a_withdrawal_is_not_undone_by_recording_the_old_words_again(world: Tenant) -> None:
    world.service.consents.revoke(world.admin, world.consent_id, "the person wants out")
    assert_taken_back(world)
    assert_taken_back(world, purposes=("narration.audiobook",))
    state(world)
    assert world.record().consent.state == "live"


def test_a_narrowing_is_not_undone_either(world: Tenant) -> None:
    world.service.consents.narrow(world.admin, world.consent_id, languages=["en"])
    assert_taken_back(world, languages=("*",))
    state(world)
    assert world.record(languages=("*",)).consent.state == "live"


def test_a_spare_statement_given_before_the_withdrawal_is_taken_back_with_it(world: Tenant) -> None:
    state(world)
    state(world, "narration.news")
    world.clock.now += 10
    world.service.consents.revoke(world.admin, world.consent_id, "the person wants out")
    assert_taken_back(world)
    assert_taken_back(world, purposes=("narration.news",))


def test_what_was_said_for_another_purpose_or_lost_before_the_withdrawal_stands(world: Tenant) -> None:
    state(world, "advertising")
    state(world, "dubbing")
    both = world.record(purposes=("advertising", "dubbing")).consent.consent_id
    world.clock.now += 10
    world.service.consents.narrow(world.admin, both, purposes=["dubbing"])
    assert_taken_back(world, purposes=("advertising",))
    world.clock.now += 10
    state(world, "advertising")
    world.clock.now += 10
    world.service.consents.revoke(world.admin, both, "no more dubbing")
    assert_taken_back(world, purposes=("dubbing",))
    assert world.record(purposes=("advertising",))
    assert world.record(purposes=("narration",))


def test_a_consent_that_ran_out_is_renewed_on_the_same_words(world: Tenant) -> None:
    world.clock.now += 31 * DAY
    assert world.record().consent.state == "live"
