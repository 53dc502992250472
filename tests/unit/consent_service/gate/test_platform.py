"""Parts with a key of their own do their part for one tenant, and find nothing of another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consent_service.errors import GrantMismatch, GrantUsed, NotFound
from consent_service.models import Closing, Role
from consent_service.proofs.records import Standing
from consent_service.vault.sealing import load_node_secret, spoken_proof
from tests.assets.installation import Tenant


@pytest.fixture
def rival(world: Tenant) -> Tenant:
    return world.installation.tenant("rival")


def test_the_parts_take_a_clip_all_the_way_with_the_rights_of_their_roles(world: Tenant) -> None:
    parts = world.service.platform
    gate, replica, stamper = (world.key(role) for role in (Role.GATE, Role.REPLICA, Role.STAMPER))
    other = world.register("fresh")
    parts.register_replica(
        replica, "fresh", other.public_bytes, other.proof(load_node_secret(world.data_dir))
    )
    assert parts.watermark_key(replica, "fresh", 1)
    grant = parts.redeem(gate, world.allow().token, "fresh").grant
    record = parts.find_clip(stamper, grant.clip_id)
    parts.register_clip(stamper, replace(record, audio_sha256="ab" * 32, seconds=1.0))
    leaf = parts.close_clip(stamper, grant.grant_id, Closing("completed", 1.0, "ab" * 32))
    assert world.log()[leaf]["kind"] == "speech.closed"
    again = parts.redeem_cached(gate, world.allow().token, grant.clip_id)
    assert again.sealed_reference is None
    assert parts.standing(gate, grant.clip_id, world.consent_id, 1)[0] is Standing.LIVE
    before = parts.revocations(gate)
    revoked = world.service.consents.revoke(world.admin, world.consent_id, "over")
    assert parts.revocations(replica, before[-1].seq if before else 0) == [revoked]
    spent = world.allow(mode="design", voice_id="").token
    parts.redeem(gate, spent, "fresh")
    with pytest.raises(GrantUsed):
        parts.redeem(gate, spent, "fresh")


def test_another_tenant_s_grants_clips_and_revocations_are_not_there(world: Tenant, rival: Tenant) -> None:
    parts = world.service.platform
    gate, stamper = rival.key(Role.GATE), rival.key(Role.STAMPER)
    waiting = world.allow().token
    grant = world.service.gate.redeem(world.allow().token, world.replica.replica_id).grant
    record = world.service.clips.find_clip("acme", grant.clip_id)
    assert record is not None
    with pytest.raises(GrantMismatch):
        parts.redeem(gate, waiting, world.replica.replica_id)
    with pytest.raises(GrantMismatch):
        parts.redeem_cached(gate, waiting, grant.clip_id)
    proof = spoken_proof(load_node_secret(world.data_dir), world.replica.replica_id, grant.grant_id)
    for attempt in (
        lambda: parts.close_clip(stamper, grant.grant_id, Closing("completed")),
        lambda: parts.report_design(gate, grant.grant_id, world.replica.replica_id, proof, "ab" * 32),
        lambda: parts.register_clip(stamper, replace(record, audio_sha256="cd" * 32)),
        lambda: parts.find_clip(stamper, grant.clip_id),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert parts.standing(gate, grant.clip_id, world.consent_id, 1)[0] is Standing.UNKNOWN
    world.service.consents.revoke(world.admin, world.consent_id, "over")
    assert parts.revocations(gate) == []
    # Nothing of it was used up or changed.
    found = world.service.clips.find_clip("acme", grant.clip_id)
    assert found is not None
    assert found.audio_sha256 == ""
