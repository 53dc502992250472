"""One operator hands out every key of a small house; an organisation may ask that its reviewers' are independent."""

from __future__ import annotations

import pytest

from consent_service.errors import PermissionDenied
from consent_service.models import Claims, Principal, Role
from tests.unit.consent_service.world import World, tone


def made(world: World, by: Principal, *roles: Role) -> Principal:
    token = world.service.create_api_key(by, grantee="studio", roles=roles, claims=Claims())
    return world.service.authenticate(token)


def waiting(world: World, by: Principal) -> str:
    challenge = world.service.begin_statement(by, world.voice.voice_id, grantee="g", purpose="dubbing")
    world.service.complete_statement(by, challenge.enrolment_id, statement=tone(3.5))
    return world.voice.voice_id


def test_the_evidence_says_who_made_the_reviewer_s_key(world: World) -> None:
    waiting(world, world.admin)
    world.service.review_enrolment(world.reviewer, world.voice.voice_id, approve=True)
    (evidence,) = (row for (row,) in world.rows("SELECT evidence FROM enrolments WHERE kind = 'statement'"))
    assert f'"reviewer_key_created_by": "{world.admin.key_id}"' in str(evidence).replace("'", '"')


@pytest.fixture
def independent(world: World) -> World:
    asked = world.config.examination.model_copy(update={"review_independent": True})
    config = world.config.model_copy(update={"examination": asked})
    object.__setattr__(world.service._core, "config", config)
    return world


def assert_dependent(world: World, enroller: Principal, reviewer: Principal) -> None:
    voice_id = waiting(world, enroller)
    with pytest.raises(PermissionDenied) as refused:
        world.service.review_enrolment(reviewer, voice_id, approve=True)
    assert refused.value.code == "reviewer_is_enroller"


def test_whose_key_the_enroller_made_does_not_review(independent: World) -> None:
    assert_dependent(independent, independent.admin, independent.reviewer)


def test_nor_whose_key_was_made_by_a_key_that_the_enroller_made(independent: World) -> None:
    operator = made(independent, independent.admin, Role.OPERATOR)
    assert_dependent(independent, independent.admin, made(independent, operator, Role.REVIEWER))


def test_nor_who_made_the_enroller_s_key(independent: World) -> None:
    mighty = made(independent, independent.admin, Role.OPERATOR, Role.REVIEWER)
    assert_dependent(independent, made(independent, mighty, Role.VOICE_ADMIN), mighty)


def test_two_keys_of_one_operator_who_does_neither_are_independent(independent: World) -> None:
    operator = made(independent, independent.admin, Role.OPERATOR)
    enroller = made(independent, operator, Role.VOICE_ADMIN)
    voice_id = waiting(independent, enroller)
    assert independent.service.review_enrolment(independent.reviewer, voice_id, approve=True)
