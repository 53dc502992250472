"""What crashed processes leave behind is cleared away, by an operator alone, and recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consent_service.clips import register
from consent_service.errors import (
    Conflict,
    GrantUsed,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ReplicaUnknown,
)
from consent_service.gate.abandoned import Backlog
from consent_service.models import Closing, Role
from tests.assets.installation import Tenant

pytestmark = pytest.mark.on_both_databases


def test_a_grant_that_nobody_closed_is_closed_as_abandoned(world: Tenant) -> None:
    lost, done = (
        world.service.gate.redeem(world.allow(text).token, "acme-replica") for text in ("lost", "done")
    )
    world.service.gate.close(done.grant.grant_id, Closing("completed", 1.0, "ab" * 32))
    world.clock.now += 1800
    assert world.service.gate.close_abandoned(world.admin) == 0
    world.clock.now += 1801
    assert world.service.gate.close_abandoned(world.admin) == 1
    last = world.log()[-1]
    assert (last["grant"], last["outcome"], last["reason"]) == (lost.grant.grant_id, "failed", "abandoned")
    assert world.service.gate.close_abandoned(world.admin) == 0
    # Whoever closes it after all is told which record stands.
    assert world.service.gate.close(lost.grant.grant_id, Closing("completed", 1.0, "ab" * 32)) == last["n"]


def test_what_upkeep_would_clear_away_is_counted_for_every_tenant(world: Tenant) -> None:
    assert world.service.gate.backlog() == Backlog(open_grants=0, old_replicas=0)
    world.service.gate.redeem(world.allow("lost").token, "acme-replica")
    world.clock.now += 3601
    assert world.service.gate.backlog() == Backlog(open_grants=1, old_replicas=0)
    world.clock.now += 7 * 86_400
    assert world.service.gate.backlog() == Backlog(open_grants=1, old_replicas=1)
    world.service.gate.close_abandoned(world.admin)
    world.service.gate.forget_replicas(world.admin, 7200)
    assert world.service.gate.backlog() == Backlog(open_grants=0, old_replicas=0)


def test_a_replica_that_is_gone_is_forgotten_and_can_come_back(world: Tenant) -> None:
    world.clock.now += 7200
    fresh = world.register("fresh")
    assert world.service.gate.forget_replicas(world.admin, 3600) == 1
    world.service.gate.redeem(world.allow("one").token, fresh.replica_id)
    with pytest.raises(ReplicaUnknown):
        world.service.gate.redeem(world.allow("two").token, world.replica.replica_id)
    world.register(world.replica.replica_id)
    world.service.gate.redeem(world.allow("three").token, world.replica.replica_id)
    with pytest.raises(InvalidInput):
        world.service.gate.forget_replicas(world.admin, 60)


def test_upkeep_is_the_operator_s_and_what_reaches_every_tenant_the_installation_s(world: Tenant) -> None:
    for by in (world.narrator, world.auditor, world.reviewer, world.key(Role.INSTALLATION)):
        with pytest.raises(PermissionDenied):
            world.service.gate.close_abandoned(by)
    for by in (world.narrator, world.auditor, world.reviewer, world.key(Role.OPERATOR)):
        with pytest.raises(PermissionDenied):
            world.service.gate.forget_replicas(by, 7200)


def test_clips_are_registered_by_the_thousand_each_on_its_own_merits(world: Tenant) -> None:
    redeemed = world.redeem_many([world.allow(str(number)).token for number in range(3)])
    world.service.clips.register_store("file:///var/clips", "output")
    made = {"audio_sha256": "ab" * 32, "seconds": 2.0, "objects": ("file:///var/clips/acme/x",)}
    records = [
        replace(each.clip_record(created_at=1.0), **made)  # type: ignore[union-attr, arg-type]
        for each in redeemed
    ]
    unknown = replace(records[0], clip_id="f" * 32)
    changed = replace(records[1], purpose="advertising")
    outcomes = register.register_many(world.service._core, [records[0], unknown, changed, records[2]])
    assert [type(each) for each in outcomes] == [type(None), NotFound, Conflict, type(None)]
    for record in (records[0], records[2]):
        found = world.service.clips.find_clip("acme", record.clip_id)
        assert found is not None
        assert (found.audio_sha256, found.objects) == ("ab" * 32, ("file:///var/clips/acme/x",))
    assert world.service.clips.find_clip("acme", records[1].clip_id).audio_sha256 == ""  # type: ignore[union-attr]


def test_a_tag_is_never_allotted_twice_and_one_that_was_refused_is_not_lost(world: Tenant) -> None:
    allowed = [world.allow(str(number)) for number in range(70)]  # more than a block
    redeemed = [world.service.gate.redeem(each.token, world.replica.replica_id) for each in allowed]
    marks = [each.watermark for each in redeemed]
    assert len(set(marks)) == len(marks)
    with pytest.raises(GrantUsed):
        world.service.gate.redeem(allowed[0].token, world.replica.replica_id)
    drawn = world.rows("SELECT value FROM counters WHERE name = 'watermark'")
    for number in range(58):
        world.service.gate.redeem(world.allow(f"more {number}").token, world.replica.replica_id)
    assert world.rows("SELECT value FROM counters WHERE name = 'watermark'") == drawn
    assert len(set(world.rows("SELECT watermark_epoch, watermark_tag FROM clips"))) == 128
