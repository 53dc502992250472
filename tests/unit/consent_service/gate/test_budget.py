"""A consent's character budget is never exceeded, whoever spends it and however many at once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from consent_service.errors import ConsentError, GrantRevoked
from consent_service.models import Deny, Redeemed
from tests.assets.installation import Tenant


@pytest.fixture
def budgeted(world: Tenant) -> Tenant:
    """Its narrator's consent allows a hundred characters in all."""
    world.consent = world.record(character_budget=100)
    world.service.tenants.bind_consent(world.admin, world.narrator.key_id, world.consent_id)
    return world


def used(world: Tenant) -> int:
    query = f"SELECT characters_used FROM consents WHERE consent_id = '{world.consent_id}'"
    return int(world.rows(query)[0][0])


def test_what_is_spoken_is_counted_and_the_rest_is_refused(budgeted: Tenant) -> None:
    redeemed = budgeted.service.gate.redeem(budgeted.allow(characters=60).token, budgeted.replica.replica_id)
    assert isinstance(redeemed, Redeemed)
    assert used(budgeted) == 60
    refused = budgeted.service.gate.authorize(budgeted.narrator, budgeted.claim(characters=41))
    assert isinstance(refused, Deny)
    assert refused.code == "budget_exhausted"
    budgeted.allow(characters=40)


def test_grants_that_fit_one_by_one_do_not_fit_together(budgeted: Tenant) -> None:
    tokens = [budgeted.allow(str(number), characters=40).token for number in range(4)]
    outcomes = budgeted.redeem_many(tokens)
    assert [isinstance(each, Redeemed) for each in outcomes] == [True, True, False, False]
    assert {each.code for each in outcomes if isinstance(each, ConsentError)} == {"budget_exhausted"}
    assert used(budgeted) == 80


def test_callers_at_once_never_exceed_it(budgeted: Tenant) -> None:
    tokens = [budgeted.allow(str(number), characters=30).token for number in range(12)]

    def redeem(token: str) -> str:
        try:
            budgeted.service.gate.redeem(token, budgeted.replica.replica_id)
        except GrantRevoked as exc:
            return exc.code
        return "spoken"

    with ThreadPoolExecutor(6) as pool:
        outcomes = Counter(pool.map(redeem, tokens))
    assert outcomes == {"spoken": 3, "budget_exhausted": 9}
    assert used(budgeted) == 90


def test_a_refused_redemption_spends_nothing(budgeted: Tenant) -> None:
    allowed = budgeted.allow(characters=50)
    budgeted.service.gate.redeem(allowed.token, budgeted.replica.replica_id)
    budgeted.redeem_many([allowed.token] * 3)
    assert used(budgeted) == 50


def test_processing_outside_the_boundary_needs_the_consent_s_word(world: Tenant) -> None:
    outside = world.claim(outside_boundary=True)
    refused = world.service.gate.authorize(world.narrator, outside)
    assert isinstance(refused, Deny)
    assert refused.code == "processing_outside_not_consented"
    wider = world.record(outside_boundary=True)
    assert world.service.gate.authorize(
        world.narrator, world.claim(outside_boundary=True, consent_token=wider.consent_token)
    )
