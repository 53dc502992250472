"""Callers that ask at once share a transaction, and nothing else: each has its own outcome, all or none is recorded."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from consent_service.clips import register
from consent_service.commit import group_commit
from consent_service.errors import (
    GrantError,
    GrantExpired,
    GrantRevoked,
    GrantUsed,
    LedgerUnavailable,
    NotFound,
)
from consent_service.gate.operations import RedeemGrant
from consent_service.ledger import tables
from consent_service.models import Closing, Deny, Redeemed
from consent_service.proofs.log import verify_export
from consent_service.proofs.records import WatermarkTag
from tests.assets.installation import Tenant

pytestmark = pytest.mark.on_both_databases

CALLERS = 12


def commits(world: Tenant) -> Counter[str]:
    """Counts commits from here on."""
    counted: Counter[str] = Counter()
    event.listen(world.core.ledger.engine, "commit", lambda _: counted.update(["commit"]))
    return counted


def at_once(world: Tenant, calls: list[Callable[[], Any]]) -> list[Any]:
    """Let every call queue behind a transaction that is held open, then let them go; outcomes in order."""
    committer, tags = world.core.committer("acme"), world.service.gate._redeemer._tags
    tags.give_back(tags.take())  # drawn beforehand: drawing is a transaction, too
    waiting = threading.Semaphore(0)
    join = committer._join

    def joined(ticket: Any) -> None:
        waiting.release()
        join(ticket)

    committer._join = joined  # type: ignore[method-assign]

    def attempt(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as exc:
            return exc

    with ThreadPoolExecutor(len(calls)) as pool:
        with world.core.write_as("acme"):
            running = [pool.submit(attempt, call) for call in calls]
            for _ in calls:
                waiting.acquire()
        return [each.result() for each in running]


def test_callers_at_once_share_transactions_and_each_gets_its_own_grant(world: Tenant) -> None:
    allowed = [world.allow(str(number)) for number in range(CALLERS)]
    counted = commits(world)
    redeemed = at_once(
        world,
        [lambda t=each.token: world.service.gate.redeem(t, world.replica.replica_id) for each in allowed],
    )
    assert [each.grant for each in redeemed] == [each.grant for each in allowed]
    assert counted["commit"] < CALLERS
    assert len({each.audit_leaf for each in redeemed}) == CALLERS
    assert len({each.watermark for each in redeemed}) == CALLERS


def test_one_that_is_refused_fails_none_of_its_neighbours(world: Tenant, tmp_path: Any) -> None:
    good = [world.allow(str(number)) for number in range(3)]
    used = world.allow("used")
    world.service.gate.redeem(used.token, world.replica.replica_id)
    tokens = [good[0].token, used.token, good[1].token, "forged", good[2].token, good[0].token]
    outcomes = world.redeem_many(tokens)
    assert [type(each) for each in outcomes] == [
        Redeemed,
        GrantUsed,
        Redeemed,
        type(outcomes[3]),
        Redeemed,
        GrantUsed,
    ]
    assert outcomes[3].code in ("grant_malformed", "grant_forged")  # type: ignore[union-attr]
    refusals = [entry["grant"] for entry in world.log() if entry["kind"] == "speech.refused"]
    assert refusals == [used.grant.grant_id, good[0].grant.grant_id]
    world.service.log.export(world.auditor, tmp_path / "export")
    assert verify_export(tmp_path / "export").kinds["speech.redeemed"] == 4


def test_a_row_that_the_database_rejects_is_refused_alone(world: Tenant) -> None:
    allowed = [world.allow(str(number)) for number in range(3)]
    # The same clip id twice: only the database knows, and only when everything is written.
    clip_id = allowed[0].grant.clip_id
    with world.core.write_as("acme") as writing:
        row = register.new_row(
            writing, replace(allowed[0].grant, clip_id=clip_id), 0, WatermarkTag(9, 9), "ab" * 32
        )
        writing.connection.execute(tables.clips.insert(), row)
    outcomes = world.redeem_many([each.token for each in allowed])
    assert [type(each) for each in outcomes] == [LedgerUnavailable, Redeemed, Redeemed]
    used = {row[0] for row in world.rows("SELECT grant_id FROM redemptions")}
    assert used == {each.grant.grant_id for each in allowed[1:]}


def test_nobody_hears_of_success_when_the_transaction_fails(world: Tenant) -> None:
    allowed = [world.allow(str(number)) for number in range(4)]

    def fail(*_: Any) -> None:
        raise OSError("the disk is gone")

    engine = world.core.ledger.engine
    event.listen(engine, "commit", fail)
    outcomes = world.core.committer("acme").submit_all(
        [
            RedeemGrant(each.grant, world.replica.replica_id, WatermarkTag(1, number))
            for number, each in enumerate(allowed)
        ]
    )
    event.remove(engine, "commit", fail)
    assert {type(each) for each in outcomes} == {LedgerUnavailable}
    assert world.rows("SELECT grant_id FROM redemptions") == []


def test_refusals_of_the_gate_and_closings_are_grouped_with_the_rest(world: Tenant) -> None:
    redeemed = world.service.gate.redeem(world.allow().token, world.replica.replica_id)
    outcomes = at_once(
        world,
        [
            lambda: world.service.gate.close(redeemed.grant.grant_id, Closing("completed", 1.0, "ab" * 32)),
            lambda: world.service.gate.close(redeemed.grant.grant_id, Closing("cut", reason="late")),
            lambda: world.service.gate.authorize(world.narrator, world.claim(purpose="advertising")),
        ],
    )
    assert outcomes[0] == outcomes[1]  # whoever was first said it
    assert isinstance(outcomes[2], Deny)
    with pytest.raises(NotFound):
        world.service.gate.close("f" * 32, Closing("failed"))
    assert Counter(world.kinds())["speech.closed"] == 1


def test_a_caller_that_waited_too_long_is_told_and_leaves_nothing(world: Tenant) -> None:
    ledger = world.core.ledger
    ledger.busy_timeout_s = 0.05
    first, second = world.allow("first"), world.allow("second")
    committer = world.core.committer("acme")
    committer._busy = True  # another caller leads, and does not come back
    with pytest.raises(LedgerUnavailable, match="busy"):
        world.service.gate.redeem(first.token, world.replica.replica_id)
    committer._busy = False
    world.service.gate.redeem(second.token, world.replica.replica_id)
    assert [row[0] for row in world.rows("SELECT grant_id FROM redemptions")] == [second.grant.grant_id]


def test_a_revocation_between_decision_and_redemption_refuses_every_row(world: Tenant) -> None:
    allowed = [world.allow(str(number)) for number in range(5)]
    world.service.consents.revoke(world.admin, world.consent_id, "no more")
    outcomes = world.redeem_many([each.token for each in allowed])
    assert {type(each) for each in outcomes} == {GrantRevoked}


def test_bulk_grants_expire_like_any_other(world: Tenant) -> None:
    allowed = world.allow()
    world.clock.now = allowed.grant.start_by + 1
    (outcome,) = world.redeem_many([allowed.token])
    assert isinstance(outcome, GrantExpired)


def test_a_forged_grant_costs_no_transaction(world: Tenant) -> None:
    counted = commits(world)
    outcomes = world.redeem_many(["x.y"] * 3)
    assert all(isinstance(each, GrantError) for each in outcomes)
    assert counted["commit"] == 0


def test_a_caller_whose_transaction_is_lost_is_told_that_nothing_is_known(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_GIVE_UP_S", 0.05)
    world.core.ledger.busy_timeout_s = 0.05
    committer = world.core.committer("acme")
    ticket = group_commit._Ticket([])  # taken from the queue by a leader that never comes back
    with pytest.raises(LedgerUnavailable, match="unknown"):
        committer._leave(ticket)


def test_an_operation_that_is_broken_fails_no_neighbour(world: Tenant) -> None:
    class Broken:
        grant_id = clip_id = None

        def run(self, group: Any) -> None:
            group.writing.log.append("never.seen")
            raise ZeroDivisionError

        def refused(self, group: Any, error: Exception) -> None:
            raise AssertionError("only a refusal is recorded")

    allowed = world.allow()
    good = RedeemGrant(allowed.grant, world.replica.replica_id, WatermarkTag(1, 1))
    first, second = world.core.committer("acme").submit_all([Broken(), good])
    assert isinstance(first, ZeroDivisionError)
    assert not isinstance(second, Exception)
    assert "never.seen" not in world.kinds()
