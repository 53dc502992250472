"""Strangers fail only so often, and nobody locks anybody else out."""

from __future__ import annotations

import pickle

import pytest

from consent_service.errors import GrantUsed, PermissionDenied, RateLimited, Unauthenticated
from consent_service.models import Claims, Deny, Role
from consent_service.policy.limits import LimitsConfig
from tests.assets.installation import Tenant


def failures(service: object, token: str, source: str | None) -> int:
    """How many times in a row it may fail before it is told to wait."""
    for number in range(1000):
        try:
            service.authenticate(token, source=source)  # type: ignore[attr-defined]
        except Unauthenticated:
            continue
        except RateLimited:
            return number
    raise AssertionError("nobody said stop")


def test_an_address_that_keeps_failing_is_told_to_wait_whatever_it_sends(world: Tenant) -> None:
    good = world.service.tenants.create_key(world.admin, grantee="g", roles=[Role.AUDITOR], claims=Claims())
    burst = LimitsConfig().failures
    assert failures(world.service, "vouch_0000000000000000_x", "203.0.113.7") == burst
    with pytest.raises(RateLimited) as told:
        world.service.authenticate(good, source="203.0.113.7")  # the answer says nothing of the key
    assert 0 < told.value.retry_after_s <= 1 / LimitsConfig().failures_per_s
    assert world.service.authenticate(good, source="203.0.113.8")
    assert world.service.authenticate(good)


def test_guessing_one_key_from_many_addresses_stops_and_does_not_lock_its_holder_out(world: Tenant) -> None:
    good = world.service.tenants.create_key(world.admin, grantee="g", roles=[Role.AUDITOR], claims=Claims())
    wrong = good[:-1] + ("A" if good[-1] != "A" else "B")
    for number in range(LimitsConfig().failures):
        with pytest.raises(Unauthenticated):
            world.service.authenticate(wrong, source=f"198.51.100.{number}")
    for source in ("198.51.100.0", None):
        with pytest.raises(RateLimited):
            world.service.authenticate(wrong, source=source)
    assert world.service.authenticate(good, source="203.0.113.9")  # an address that never failed
    assert world.service.authenticate(good)  # no address: the holder is who shows the key


def test_a_link_is_guessed_only_so_often(world: Tenant) -> None:
    with pytest.raises(RateLimited):
        for _ in range(1000):
            try:
                world.service.self_service.sign_in("no.such.link", source="203.0.113.7")
            except Exception as exc:
                if getattr(exc, "code", "") != "link_invalid":
                    raise


def limit_refusals(world: Tenant, refusals: int) -> None:
    world.service._limits.__init__(LimitsConfig(refusals=refusals, refusals_per_s=0.001))  # type: ignore[misc]


def test_refusals_that_cost_a_log_entry_are_bounded(world: Tenant) -> None:
    limit_refusals(world, 3)
    for _ in range(3):
        assert isinstance(
            world.service.gate.authorize(world.narrator, world.claim(purpose="advertising")), Deny
        )
    before = len(world.log())
    with pytest.raises(RateLimited) as told:
        world.service.gate.authorize(world.narrator, world.claim(purpose="advertising"))
    assert told.value.retry_after_s > 0
    assert len(world.log()) == before
    assert world.service.gate.authorize(world.narrator, world.claim()), "what is permitted costs no refusal"
    grant = replayed(world)
    before = len(world.log())
    for _ in range(3):
        with pytest.raises(GrantUsed):
            world.service.gate.redeem(grant, world.replica.replica_id)
    with pytest.raises(RateLimited):
        world.service.gate.redeem(grant, world.replica.replica_id)
    assert len(world.log()) == before + 3


def test_each_refused_row_of_a_batch_counts_and_none_holds_up_what_is_permitted(world: Tenant) -> None:
    limit_refusals(world, 3)
    before = len(world.log())
    rows = [world.claim(purpose="advertising"), world.claim()] * 5
    first, second = (world.service.gate.authorize_many(world.narrator, rows) for _ in range(2))
    told = [decision.code for decision in first if isinstance(decision, Deny)]
    assert told == ["purpose_not_claimable"] * 3 + ["rate_limited"] * 2
    assert [bool(decision) for decision in first + second] == [False, True] * 10
    assert len(world.log()) == before + 3


def test_each_refused_grant_of_a_batch_counts_for_the_key_that_asked_for_it(world: Tenant) -> None:
    spent, other = [world.allow(str(number)).token for number in range(4)], replayed(world)
    assert not any(isinstance(each, Exception) for each in world.redeem_many(spent))
    fresh = world.allow("another").token
    limit_refusals(world, 3)
    before = len(world.log())
    assert all(isinstance(each, GrantUsed) for each in world.redeem_many(spent))
    assert len(world.log()) == before + 4
    waiting, theirs = world.redeem_many([fresh, other])
    assert isinstance(waiting, RateLimited)
    assert isinstance(theirs, GrantUsed), "another key's grants are not held up"
    assert len(world.log()) == before + 5
    assert world.allow("yet another"), "nor is what this key asks for anew"


def test_asking_without_the_right_to_speak_is_on_the_record_only_so_often(world: Tenant) -> None:
    limit_refusals(world, 2)
    before = len(world.log())
    for error in (PermissionDenied, PermissionDenied, RateLimited):
        with pytest.raises(error):
            world.service.gate.authorize_many(world.auditor, [world.claim()] * 3)
    assert len(world.log()) == before + 2


def replayed(world: Tenant) -> str:
    other = world.key(Role.NARRATOR, purposes=("narration",), voices=("*",))
    allowed = world.service.gate.authorize(other, world.claim(consent_token=world.consent.consent_token))
    assert not isinstance(allowed, Deny)
    world.service.gate.redeem(allowed.token, world.replica.replica_id)
    return allowed.token


def test_when_to_come_back_crosses_a_process_border() -> None:
    limited = pickle.loads(pickle.dumps(RateLimited("wait", retry_after_s=7.5)))
    assert (limited.message, limited.code, limited.retry_after_s) == ("wait", "rate_limited", 7.5)
