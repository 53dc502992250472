"""API keys and roles: shown once, stored hashed, dead when revoked; a role does what its row says and no more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from consent_service.access import PERMISSIONS, NewKey, Permission, insert_key
from consent_service.errors import (
    Conflict,
    GrantMismatch,
    GrantRevoked,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ReplicaUnknown,
    Unauthenticated,
)
from consent_service.models import Claims, Deny, Principal, Role
from tests.assets.installation import DAY, Tenant
from tests.unit.consent_service.operations import OPERATIONS, asking_for_a_principal


def test_a_key_opens_what_it_was_made_for(world: Tenant) -> None:
    token = world.service.tenants.create_key(
        world.admin,
        grantee="studio",
        roles=[Role.NARRATOR],
        claims=Claims(purposes=("dubbing",)),
        label="night",
    )
    who = world.service.authenticate(token)
    assert (who.tenant, who.grantee, who.roles, who.label) == ("acme", "studio", {Role.NARRATOR}, "night")
    assert who.claims == Claims(purposes=("dubbing",))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: "",
        lambda token: "vouch",
        lambda token: token[:-1],
        lambda token: token + "x",
        lambda token: token.replace("vouch_", "other_"),
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: "vouch_" + "0" * 16 + token[22:],
        lambda token: "\ud800" + token,
        lambda token: "vouch_\ud800_\ud800",
        lambda token: "vouch_\0_" + "x" * 43,
    ],
)
def test_anything_else_is_unauthenticated_in_the_same_words(
    world: Tenant, spoil: Callable[[str], str]
) -> None:
    token = world.service.tenants.create_key(world.admin, grantee="s", roles=[Role.NARRATOR], claims=Claims())
    with pytest.raises(Unauthenticated) as refused:
        world.service.authenticate(spoil(token))
    assert refused.value.message == "the API key is missing, unknown, revoked or expired"


def test_a_revoked_or_expired_key_is_a_stranger_at_once(world: Tenant) -> None:
    until = world.clock.now + 10
    token = world.service.tenants.create_key(
        world.admin, grantee="studio", roles=[Role.AUDITOR], claims=Claims(), expires_at=until
    )
    who = world.service.authenticate(token)
    world.clock.now = until
    for attempt in (lambda: world.service.authenticate(token), lambda: world.service.voices.list_all(who)):
        with pytest.raises(Unauthenticated):
            attempt()
    allowed = world.allow()
    world.service.tenants.revoke_key(world.admin, world.narrator.key_id)
    world.service.tenants.revoke_key(world.admin, world.narrator.key_id)
    with pytest.raises(Unauthenticated):
        world.service.gate.authorize(world.narrator, world.claim())
    with pytest.raises(GrantRevoked, match="key"):
        world.service.gate.redeem(allowed.token, world.replica.replica_id)


def test_no_secret_of_a_key_is_stored(world: Tenant) -> None:
    token = world.service.tenants.create_key(world.admin, grantee="s", roles=[Role.NARRATOR], claims=Claims())
    secret = token.split("_", 2)[2]
    assert token.split("_")[1] in world.dump()
    assert secret not in world.dump()


def test_what_a_key_may_do_is_read_from_the_ledger_and_not_from_the_caller(world: Tenant) -> None:
    mighty = Principal(
        "acme", world.narrator.key_id, "studio", frozenset(Role), Claims(("advertising",), ("*",))
    )
    with pytest.raises(PermissionDenied):
        world.service.consents.revoke(mighty, world.consent_id, "no")
    denied = world.service.gate.authorize(mighty, world.claim(purpose="advertising"))
    assert isinstance(denied, Deny)
    assert denied.code == "purpose_not_claimable"
    with pytest.raises(Unauthenticated):
        world.service.voices.list_all(Principal("acme", "0" * 16, "studio", frozenset(Role), Claims()))


def test_every_operation_that_takes_a_principal_has_its_cell(world: Tenant) -> None:
    assert asking_for_a_principal(world.service) == set(OPERATIONS)
    assert {permission for permission, _ in OPERATIONS.values()} == set(Permission)
    assert set(PERMISSIONS) == set(Role)


def test_the_docs_show_the_table_as_it_is() -> None:
    docs = (Path(__file__).resolve().parents[3] / "docs" / "consent" / "access.md").read_text("utf-8")
    for role, permissions in PERMISSIONS.items():
        assert f"| `{role}` | {', '.join(sorted(permissions))} |" in docs, role


@pytest.mark.parametrize("role", Role)
def test_a_role_may_do_exactly_what_its_row_says(world: Tenant, role: Role) -> None:
    by = key_of(world, role)
    for permission, operation in OPERATIONS.values():
        if permission not in PERMISSIONS[role]:
            with pytest.raises(PermissionDenied):
                operation(world, by)
    for permission, operation in OPERATIONS.values():
        if permission in PERMISSIONS[role]:
            # Allowed to try: the objects that some of them name do not exist, or were ended by an earlier one.
            with suppress(NotFound, Conflict, InvalidInput, GrantMismatch, ReplicaUnknown):
                operation(world, by)
            by = key_of(world, role)  # one of them ended its own session


def test_nobody_is_handed_the_role_of_a_subject(world: Tenant) -> None:
    with pytest.raises(InvalidInput) as refused:
        world.service.tenants.create_key(
            world.admin, grantee="g", roles=[Role.NARRATOR, Role.SUBJECT], claims=Claims()
        )
    assert refused.value.code == "role_not_assignable"


def test_a_subject_s_role_without_a_person_behind_it_reaches_nothing(world: Tenant) -> None:
    by = key_of(world, Role.SUBJECT, subject_id=None)
    for name in ("own_voices", "own_consents", "own_uses", "own_receipt", "revoke_own_consent"):
        with pytest.raises(PermissionDenied):
            OPERATIONS[f"self_service.{name}"][1](world, by)


def key_of(world: Tenant, role: Role, subject_id: str | None = "subject_of_no_voice") -> Principal:
    """A key with one role. A subject's comes from signing in alone, so it is put into the ledger by hand."""
    key = NewKey.mint()
    with world.core.ledger.write() as connection:
        insert_key(
            connection, key, tenant=world.admin.tenant, grantee="studio", roles=[role],
            claims=Claims(purposes=("narration",), voices=("*",)), label="", now=world.clock.now, expires_at=None,
            subject_id=subject_id if role is Role.SUBJECT else None,
        )  # fmt: skip
    return world.service.authenticate(key.token)


def test_whoever_speaks_sees_the_voices_that_the_key_may_claim(world: Tenant) -> None:
    second = world.enrol("Another", 220.0)
    everything = {world.voice.voice_id, second.voice_id}

    def seen(by: Principal) -> set[str]:
        return {voice.voice_id for voice in world.service.voices.list_all(by)}

    for role in (Role.NARRATOR, Role.JOB):
        one = world.key(role, voices=(second.voice_id,))
        assert seen(one) == {second.voice_id}
        assert world.service.voices.get(one, second.voice_id) == second
        with pytest.raises(NotFound):
            world.service.voices.get(one, world.voice.voice_id)
        assert seen(world.key(role, voices=("*",))) == everything
        assert seen(world.key(role, voices=("design", "preset:*"))) == set()
    for role in (Role.VOICE_ADMIN, Role.AUDITOR, Role.REVIEWER, Role.OPERATOR):
        assert seen(world.key(role)) == everything


def test_the_list_of_keys_tells_everything_but_the_secret(world: Tenant) -> None:
    token = world.service.tenants.create_key(
        world.admin, grantee="radio", roles=[Role.NARRATOR], claims=Claims(channels=("podcast",)), label="x",
        expires_at=world.clock.now + DAY,
    )  # fmt: skip
    listed = {key.key_id: key for key in world.service.tenants.list_keys(world.admin)}
    made = listed[world.service.authenticate(token).key_id]
    assert (made.grantee, made.roles, made.claims.channels) == ("radio", (Role.NARRATOR,), ("podcast",))
    assert made.expires_at == world.clock.now + DAY
    assert listed[world.narrator.key_id].bindings == {world.voice.voice_id: world.consent_id}
    assert token.split("_", 2)[2] not in repr(listed)


def test_a_first_key_can_be_kept_before_it_counts(world: Tenant) -> None:
    key = NewKey.mint()
    with pytest.raises(Unauthenticated):
        world.service.authenticate(key.token)
    assert world.service.tenants.bootstrap("later", api_key=key.token) == key.token
    assert world.service.authenticate(key.token).tenant == "later"
    for wrong in ("", "vouch_1_2", key.token[:-1], key.token + "x", "other" + key.token[5:]):
        with pytest.raises(InvalidInput):
            world.service.tenants.bootstrap("never", api_key=wrong)


def test_a_key_can_not_claim_what_does_not_exist(world: Tenant) -> None:
    for claims, code in (
        (Claims(purposes=("narrating",)), "purpose_unknown"),
        (Claims(territories=("Germany",)), "territory_invalid"),
        (Claims(channels=("Über alles",)), "channel_invalid"),
        (Claims(voices=("a voice",)), "voice_unknown"),
    ):
        with pytest.raises(InvalidInput) as refused:
            world.service.tenants.create_key(world.admin, grantee="g", roles=[Role.JOB], claims=claims)
        assert refused.value.code == code
    with pytest.raises(InvalidInput):
        world.service.tenants.create_key(world.admin, grantee="g", roles=[], claims=Claims())
    with pytest.raises(InvalidInput):
        world.service.tenants.create_key(
            world.admin, grantee="g", roles=[Role.JOB], claims=Claims(), expires_at=world.clock.now
        )


def test_a_consent_is_bound_only_to_a_key_of_its_grantee(world: Tenant) -> None:
    stranger = world.key(Role.NARRATOR, grantee="others", purposes=("narration",), voices=("*",))
    with pytest.raises(Conflict) as refused:
        world.service.tenants.bind_consent(world.admin, stranger.key_id, world.consent_id)
    assert refused.value.code == "grantee_mismatch"
    with pytest.raises(NotFound):
        world.service.tenants.bind_consent(world.admin, "0" * 16, world.consent_id)
    world.service.consents.revoke(world.admin, world.consent_id, "no more")
    with pytest.raises(Conflict):
        world.service.tenants.bind_consent(world.admin, world.narrator.key_id, world.consent_id)


def test_a_tenant_is_made_once(world: Tenant, tmp_path: Path) -> None:
    with pytest.raises(Conflict):
        world.service.tenants.bootstrap("acme")
    for name in ("", "../up", "Ünïcode", "a/b", "*", "x" * 64):
        with pytest.raises(InvalidInput):
            world.service.tenants.bootstrap(name)
