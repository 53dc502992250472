"""Where a deployment runs outside the organisation's own machines, its configuration says so, and no door need know."""

from __future__ import annotations

import pytest

from consent_service.models import Allow, Deny
from tests.assets.installation import Tenant


@pytest.fixture
def outside(world: Tenant) -> Tenant:
    config = world.config.model_copy(update={"outside_boundary": True})
    object.__setattr__(world.core, "config", config)
    return world


def test_only_a_consent_that_allows_it_is_granted_anything_outside(outside: Tenant) -> None:
    decision = outside.service.gate.authorize(outside.narrator, outside.claim())
    assert isinstance(decision, Deny)
    assert decision.code == "processing_outside_not_consented"
    token = outside.record(outside_boundary=True).consent_token
    bound, brought = outside.service.gate.authorize_many(
        outside.narrator, [outside.claim(), outside.claim(consent_token=token)]
    )
    assert isinstance(bound, Deny)
    assert isinstance(brought, Allow)


def test_a_claim_says_so_where_the_configuration_does_not(world: Tenant) -> None:
    assert world.service.gate.authorize(world.narrator, world.claim())
    assert not world.service.gate.authorize(world.narrator, world.claim(outside_boundary=True))
