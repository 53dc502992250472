"""Tenants are walls (DESIGN I9): whatever is asked across one is not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consent_service.errors import ConsentError, GrantMismatch, NotFound, PermissionDenied, Unauthenticated
from consent_service.ledger.tables import metadata
from consent_service.models import Claims, Deny, EnrolmentAnswer, Role
from consent_service.proofs.log import verify_export
from tests.assets.installation import Tenant
from tests.assets.voiced import voiced

pytestmark = pytest.mark.on_both_databases


@pytest.fixture
def rival(world: Tenant) -> Tenant:
    return world.installation.tenant("rival")


def test_every_table_carries_the_tenant() -> None:
    assert not [table.name for table in metadata.sorted_tables if "tenant" not in table.c]


ACROSS: list[Callable[[Tenant, Tenant], Any]] = [
    lambda me, them: me.service.voices.get(me.admin, them.voice.voice_id),
    lambda me, them: me.service.deletion.decommission(me.admin, them.voice.voice_id, "mine now"),
    lambda me, them: me.service.consents.record(me.admin, voice_id=them.voice.voice_id, terms=me.terms()),
    lambda me, them: me.service.voices.review(me.reviewer, them.voice.voice_id, approve=False),
    lambda me, them: me.service.consents.get(me.admin, them.consent_id),
    lambda me, them: me.service.consents.receipt(me.admin, them.consent_id),
    lambda me, them: me.service.consents.narrow(me.admin, them.consent_id, purposes=["narration"]),
    lambda me, them: me.service.consents.revoke(me.admin, them.consent_id, "mine now"),
    lambda me, them: me.service.tenants.bind_consent(me.admin, me.narrator.key_id, them.consent_id),
    lambda me, them: me.service.tenants.bind_consent(me.admin, them.narrator.key_id, me.consent_id),
    lambda me, them: me.service.tenants.revoke_key(me.admin, them.narrator.key_id),
    lambda me, them: me.service.clips.get(me.auditor, clip_of(them)),
    lambda me, them: me.service.clips.register_clip(replace(record_of(them), tenant=me.admin.tenant)),
    lambda me, them: me.service.voices.complete_enrolment(
        me.admin, begun(them), EnrolmentAnswer(reference=sample(), transcript="t", statement=sample())
    ),
]


def record_of(world: Tenant) -> Any:
    redeemed = world.service.gate.redeem(world.allow().token, world.replica.replica_id)
    return world.service.clips.find_clip(world.admin.tenant, redeemed.grant.clip_id)


def clip_of(world: Tenant) -> str:
    return str(record_of(world).clip_id)


def begun(world: Tenant) -> str:
    return world.service.voices.begin_enrolment(
        world.admin, name="n", language="en", grantee="g", purpose="narration", subject_name="s"
    ).enrolment_id


def sample() -> bytes:
    return voiced(3.2)


@pytest.mark.parametrize("number", range(len(ACROSS)))
def test_what_belongs_to_another_tenant_is_not_found_and_not_touched(
    world: Tenant, rival: Tenant, number: int
) -> None:
    sealed = set(world.data_dir.glob("vault/**/*"))
    with pytest.raises(NotFound):
        ACROSS[number](rival, world)
    assert set(world.data_dir.glob("vault/**/*")) == sealed
    assert isinstance(world.allow().token, str)
    assert world.service.voices.get(world.admin, world.voice.voice_id).state == "active"


def test_lists_and_logs_show_the_own_tenant_alone(world: Tenant, rival: Tenant, tmp_path: Path) -> None:
    assert {voice.tenant for voice in world.service.voices.list_all(world.admin)} == {"acme"}
    assert {consent.tenant for consent in world.service.consents.list_all(world.admin)} == {"acme"}
    assert world.service.consents.list_all(world.admin, rival.voice.voice_id) == []
    assert rival.voice.voice_id not in "".join(world.service.log.entries(world.auditor))
    rival.allow()
    world.service.log.export(world.auditor, tmp_path / "export")
    assert verify_export(tmp_path / "export").origin == "vouch.local/log/acme"
    assert rival.voice.voice_id not in (tmp_path / "export" / "entries.jsonl").read_text()
    assert world.service.clips.find_clip("acme", clip_of(rival)) is None


def test_another_tenant_s_voice_token_and_cached_clip_are_unknown(world: Tenant, rival: Tenant) -> None:
    def code(**claim: Any) -> str:
        verdict = rival.service.gate.authorize(rival.narrator, rival.claim(**claim))
        assert isinstance(verdict, Deny)
        return verdict.code

    assert code(voice_id=world.voice.voice_id) == "voice_unknown"
    assert code(voice_id=world.voice.voice_id, consent_token=world.consent.consent_token) == "voice_unknown"
    assert code(consent_token=world.consent.consent_token) == "consent_token_invalid"
    with pytest.raises(GrantMismatch):
        rival.service.gate.redeem_cached(rival.allow().token, clip_of(world))


def test_a_principal_that_names_another_tenant_is_a_stranger(world: Tenant, rival: Tenant) -> None:
    disguised = replace(rival.admin, tenant="acme")
    for attempt in (
        lambda: world.service.voices.list_all(disguised),
        lambda: world.service.consents.revoke(disguised, world.consent_id, "no"),
        lambda: world.service.gate.authorize(replace(rival.narrator, tenant="acme"), world.claim()),
        lambda: world.service.tenants.create_key(disguised, grantee="g", roles=[Role.JOB], claims=Claims()),
    ):
        with pytest.raises(Unauthenticated):
            attempt()
    with pytest.raises(ConsentError):
        world.service.voices.list_all(replace(world.admin, tenant="nowhere"))


def test_an_operator_of_a_second_tenant_reaches_nothing_of_the_installation(
    world: Tenant, rival: Tenant
) -> None:
    for attempt in (
        lambda: rival.service.rotation.rotate(rival.admin),
        lambda: rival.service.rotation.retire(rival.admin),
        lambda: rival.service.gate.forget_replicas(rival.admin, 7200),
        lambda: rival.key(Role.INSTALLATION),
        lambda: rival.key(Role.OPERATOR, Role.INSTALLATION),
    ):
        with pytest.raises(PermissionDenied):
            attempt()
    # The first tenant's first key holds the right, and gives it on.
    assert world.service.gate.forget_replicas(world.key(Role.INSTALLATION), 7200) == 0


def test_an_operator_without_the_installation_s_role_can_not_hand_it_out(world: Tenant) -> None:
    token = world.service.tenants.create_key(
        world.key(Role.OPERATOR), grantee="g", roles=[Role.OPERATOR], claims=Claims()
    )
    with pytest.raises(PermissionDenied):
        world.service.tenants.create_key(
            world.service.authenticate(token), grantee="g", roles=[Role.INSTALLATION], claims=Claims()
        )
