"""A consent is narrowed on every axis, and widened on none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_service.errors import InvalidInput
from consent_service.models import ConsentTerms, Narrowing
from consent_service.policy import purposes
from consent_service.policy.narrowing import narrowed
from consent_service.policy.terms import MAX_BUDGET
from consent_service.proofs.records import Standing
from tests.assets.installation import DAY, START, Tenant

BEFORE = ConsentTerms(
    grantee="studio", purposes=("narration", "training.internal"), languages=("de", "en"),
    valid_from=START, valid_until=START + 100 * DAY, territories=("DE", "FR"), channels=("podcast", "radio"),
    outside_boundary=True, character_budget=1000,
)  # fmt: skip

WIDER: list[tuple[dict[str, Any], str]] = [
    ({"purposes": ("narration", "training")}, "purpose_not_consented"),
    ({"purposes": ("advertising",)}, "purpose_not_consented"),
    ({"languages": ("de", "fr")}, "language_not_consented"),
    ({"languages": ("*",)}, "language_not_consented"),
    ({"territories": ("*",)}, "territory_not_consented"),
    ({"territories": ("WORLD",)}, "territory_not_consented"),
    ({"territories": ("DE", "AT")}, "territory_not_consented"),
    ({"channels": ("*",)}, "channel_not_consented"),
    ({"channels": ("tv",)}, "channel_not_consented"),
    ({"valid_until": START + 101 * DAY}, "validity_invalid"),
    ({"valid_until": START}, "validity_invalid"),
    ({"valid_until": float("nan")}, "validity_invalid"),
    ({"character_budget": 1001}, "budget_invalid"),
    ({"character_budget": 0}, "budget_invalid"),
    ({"character_budget": -5}, "budget_invalid"),
    ({"purposes": ()}, "purpose_unknown"),
    ({"languages": ()}, "language_unsupported"),
    ({"territories": ()}, "territory_invalid"),
    (
        {},
        "invalid_input",
    ),  # nothing named: a new version that nobody asked for would end every grant that is out
]


@pytest.mark.parametrize(("wanted", "code"), WIDER)
def test_what_would_widen_is_refused(wanted: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        narrowed(BEFORE, Narrowing(**wanted), START + DAY)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("wanted", "changes"),
    [
        ({"purposes": ("narration.news",)}, {"purposes": ("narration.news",)}),
        ({"languages": ("en",)}, {"languages": ("en",)}),
        ({"territories": ("FR",)}, {"territories": ("FR",)}),
        ({"channels": ("radio",)}, {"channels": ("radio",)}),
        ({"valid_until": START + 2 * DAY}, {"valid_until": START + 2 * DAY}),
        ({"character_budget": 10}, {"character_budget": 10}),
        ({"inside_boundary": True}, {"outside_boundary": False}),
    ],
)
def test_what_narrows_changes_that_axis_and_no_other(wanted: dict[str, Any], changes: dict[str, Any]) -> None:
    assert narrowed(BEFORE, Narrowing(**wanted), START + DAY) == replace(BEFORE, **changes)


def test_everywhere_and_every_language_narrow_to_some() -> None:
    for everywhere in ("*", "WORLD"):
        wide = replace(
            BEFORE, territories=(everywhere,), channels=("*",), languages=("*",), character_budget=None
        )
        wanted = Narrowing(territories=("JP",), channels=("tv",), languages=("ja",), character_budget=5)
        assert narrowed(wide, wanted, START).territories == ("JP",)


SOME = st.sampled_from(
    ("narration", "narration.news", "narration.audiobook", "training", "training.internal")
)


@given(before=st.sets(SOME, min_size=1), wanted=st.sets(SOME, min_size=1))
def test_nothing_that_was_not_covered_is_covered_afterwards(before: set[str], wanted: set[str]) -> None:
    terms = replace(BEFORE, purposes=tuple(sorted(before)))
    try:
        after = narrowed(terms, Narrowing(purposes=tuple(wanted)), START)
    except InvalidInput:
        assert any(not purposes.any_covers(before, purpose) for purpose in wanted)
        return
    for purpose in purposes.PURPOSES:
        assert purposes.any_covers(terms.purposes, purpose) or not purposes.any_covers(
            after.purposes, purpose
        )


def test_clips_go_with_what_they_depended_on(world: Tenant) -> None:
    def made(**claim: Any) -> str:
        return world.service.gate.redeem(world.allow(**claim).token, world.replica.replica_id).grant.clip_id

    def standing(clip_id: str) -> Standing:
        return world.service.clips.standing(clip_id, world.consent_id, 1)[0]

    def lost(**wanted: Any) -> int:
        return world.service.consents.clips_lost(world.admin, world.consent_id, Narrowing(**wanted))

    news, book = made(purpose="narration.news"), made(purpose="narration.audiobook")
    assert lost(character_budget=500) == 0
    assert lost(purposes=("narration.audiobook",)) == 1
    assert lost(languages=("de",)) == 2
    assert {standing(news), standing(book)} == {Standing.LIVE}, "counting changes nothing"
    world.service.consents.narrow(world.admin, world.consent_id, valid_until=world.clock.now + DAY)
    world.service.consents.narrow(world.admin, world.consent_id, character_budget=500)
    assert {standing(news), standing(book)} == {Standing.LIVE}
    world.service.consents.narrow(world.admin, world.consent_id, purposes=["narration.audiobook"])
    assert (standing(news), standing(book)) == (Standing.WITHDRAWN, Standing.LIVE)
    # No clip's record tells its language: what can't be shown to be covered does not stand.
    world.service.consents.narrow(world.admin, world.consent_id, languages=["de"])
    assert standing(book) is Standing.WITHDRAWN


def test_a_budget_is_a_whole_number_of_characters(world: Tenant) -> None:
    assert world.record(character_budget=1).consent.terms.character_budget == 1
    assert world.record(character_budget=MAX_BUDGET).consent.terms.character_budget == MAX_BUDGET
    for wrong in (0, -1, MAX_BUDGET + 1, True, 1.5, "7"):
        with pytest.raises(InvalidInput) as refused:
            world.record(character_budget=wrong)
        assert refused.value.code == "budget_invalid"
