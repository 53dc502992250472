"""One operator hands out every key of a small house; an organisation may ask that its reviewers' are independent."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from consent_service.config import ConsentConfig
from consent_service.errors import PermissionDenied
from consent_service.ledger.tables import enrolments
from consent_service.models import Claims, Principal, Role
from tests.assets.installation import Tenant
from tests.assets.voiced import voiced


def made(world: Tenant, by: Principal, *roles: Role) -> Principal:
    token = world.service.tenants.create_key(by, grantee="studio", roles=roles, claims=Claims())
    return world.service.authenticate(token)


def waiting(world: Tenant, by: Principal) -> str:
    challenge = world.service.voices.begin_statement(by, world.voice.voice_id, grantee="g", purpose="dubbing")
    world.service.voices.complete_statement(by, challenge.enrolment_id, statement=voiced(3.5))
    return world.voice.voice_id


def test_the_evidence_says_who_made_the_reviewer_s_key(world: Tenant) -> None:
    waiting(world, world.admin)
    world.service.voices.review(world.reviewer, world.voice.voice_id, approve=True)
    told = evidence(world)
    assert (told["reviewer_key_created_by"], told["reviewer_independent"]) == (world.admin.key_id, False)


def evidence(world: Tenant) -> dict[str, object]:
    with world.core.ledger.read() as connection:
        query = select(enrolments.c.evidence).where(
            enrolments.c.tenant == "acme", enrolments.c.kind == "statement"
        )
        found: dict[str, object] = connection.execute(query).scalar_one()
    return found


def test_one_person_may_hold_both_keys_in_profile_local_alone(tmp_path: Path) -> None:
    def asks(profile: str, **examination: object) -> bool:
        given = {"data_dir": tmp_path, "profile": profile, "examination": examination}
        return ConsentConfig.model_validate(given).review_independent

    assert (asks("local"), asks("cluster")) == (False, True)
    assert (asks("local", review_independent=True), asks("cluster", review_independent=False)) == (
        True,
        False,
    )


@pytest.fixture
def independent(world: Tenant) -> Tenant:
    config = world.config.model_copy(update={"profile": "cluster"})
    object.__setattr__(world.core, "config", config)
    return world


def assert_dependent(world: Tenant, enroller: Principal, reviewer: Principal) -> None:
    voice_id = waiting(world, enroller)
    with pytest.raises(PermissionDenied) as refused:
        world.service.voices.review(reviewer, voice_id, approve=True)
    assert refused.value.code == "reviewer_is_enroller"


def test_whose_key_the_enroller_made_does_not_review(independent: Tenant) -> None:
    assert_dependent(independent, independent.admin, independent.reviewer)


def test_nor_whose_key_was_made_by_a_key_that_the_enroller_made(independent: Tenant) -> None:
    operator = made(independent, independent.admin, Role.OPERATOR)
    assert_dependent(independent, independent.admin, made(independent, operator, Role.REVIEWER))


def test_nor_who_made_the_enroller_s_key(independent: Tenant) -> None:
    mighty = made(independent, independent.admin, Role.OPERATOR, Role.REVIEWER)
    assert_dependent(independent, made(independent, mighty, Role.VOICE_ADMIN), mighty)


def test_two_keys_of_one_operator_who_does_neither_are_independent(independent: Tenant) -> None:
    operator = made(independent, independent.admin, Role.OPERATOR)
    enroller = made(independent, operator, Role.VOICE_ADMIN)
    voice_id = waiting(independent, enroller)
    assert independent.service.voices.review(independent.reviewer, voice_id, approve=True)
    assert evidence(independent)["reviewer_independent"] is True
