"""API keys and roles: shown once, stored hashed, dead when revoked; a role does what its row says and no more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from consent_service.access import PERMISSIONS, Permission
from consent_service.errors import (
    Conflict,
    GrantRevoked,
    InvalidInput,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)
from consent_service.models import Claims, Deny, Principal, Role
from tests.unit.consent_service.world import World, tone


def test_a_key_opens_what_it_was_made_for(world: World) -> None:
    token = world.service.create_api_key(
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
    world: World, spoil: Callable[[str], str]
) -> None:
    token = world.service.create_api_key(world.admin, grantee="s", roles=[Role.NARRATOR], claims=Claims())
    with pytest.raises(Unauthenticated) as refused:
        world.service.authenticate(spoil(token))
    assert refused.value.message == "the API key is missing, unknown, revoked or expired"


def test_a_revoked_or_expired_key_is_a_stranger_at_once(world: World) -> None:
    until = world.clock.now + 10
    token = world.service.create_api_key(
        world.admin, grantee="studio", roles=[Role.AUDITOR], claims=Claims(), expires_at=until
    )
    who = world.service.authenticate(token)
    world.clock.now = until
    for attempt in (lambda: world.service.authenticate(token), lambda: world.service.voices(who)):
        with pytest.raises(Unauthenticated):
            attempt()
    allowed = world.allow()
    world.service.revoke_api_key(world.admin, world.narrator.key_id)
    world.service.revoke_api_key(world.admin, world.narrator.key_id)
    with pytest.raises(Unauthenticated):
        world.service.authorize(world.narrator, world.claim())
    with pytest.raises(GrantRevoked, match="key"):
        world.service.redeem(allowed.token, world.replica.replica_id)


def test_no_secret_of_a_key_is_stored(world: World) -> None:
    token = world.service.create_api_key(world.admin, grantee="s", roles=[Role.NARRATOR], claims=Claims())
    secret = token.split("_", 2)[2]
    assert token.split("_")[1] in world.dump()
    assert secret not in world.dump()


def test_what_a_key_may_do_is_read_from_the_ledger_and_not_from_the_caller(world: World) -> None:
    mighty = Principal(
        "acme", world.narrator.key_id, "studio", frozenset(Role), Claims(("advertising",), ("*",))
    )
    with pytest.raises(PermissionDenied):
        world.service.revoke_consent(mighty, world.consent_id, "no")
    denied = world.service.authorize(mighty, world.claim(purpose="advertising"))
    assert isinstance(denied, Deny)
    assert denied.code == "purpose_not_claimable"
    with pytest.raises(Unauthenticated):
        world.service.voices(Principal("acme", "0" * 16, "studio", frozenset(Role), Claims()))


OPERATIONS: list[tuple[Permission, Callable[[World, Principal], Any]]] = [
    (
        Permission.KEY_MANAGE,
        lambda w, by: w.service.create_api_key(by, grantee="g", roles=[Role.JOB], claims=Claims()),
    ),
    (Permission.KEY_MANAGE, lambda w, by: w.service.revoke_api_key(by, w.narrator.key_id)),
    (Permission.KEY_BIND, lambda w, by: w.service.bind_consent(by, w.narrator.key_id, w.consent_id)),
    (
        Permission.VOICE_ENROL,
        lambda w, by: w.service.begin_enrolment(
            by, name="n", language="en", grantee="g", purpose="narration", subject_name="s"
        ),
    ),
    (
        Permission.VOICE_ENROL,
        lambda w, by: w.service.complete_enrolment(
            by, "enrolment_x", reference=tone(3.1), transcript="t", statement=tone(3.1)
        ),
    ),
    (
        Permission.VOICE_ENROL,
        lambda w, by: w.service.keep_designed_voice(
            by, name="n", language="en", reference=tone(3.1), transcript="t", clip_id="c"
        ),
    ),
    (Permission.VOICE_REVIEW, lambda w, by: w.service.review_enrolment(by, w.voice.voice_id, approve=True)),
    (Permission.VOICE_READ, lambda w, by: w.service.voices(by)),
    (Permission.VOICE_READ, lambda w, by: w.service.voice(by, w.voice.voice_id)),
    (
        Permission.CONSENT_RECORD,
        lambda w, by: w.service.record_consent(by, voice_id=w.voice.voice_id, terms=w.terms()),
    ),
    (
        Permission.CONSENT_RECORD,
        lambda w, by: w.service.narrow_consent(by, w.consent_id, purposes=["narration"]),
    ),
    (Permission.CONSENT_READ, lambda w, by: w.service.consent(by, w.consent_id)),
    (Permission.CONSENT_READ, lambda w, by: w.service.consents(by)),
    (Permission.CONSENT_READ, lambda w, by: w.service.receipt(by, w.consent_id)),
    (Permission.SPEAK, lambda w, by: w.service.authorize(by, w.claim())),
    (Permission.SPEAK, lambda w, by: w.service.authorize_many(by, [w.claim()])),
    (Permission.CLIP_READ, lambda w, by: w.service.clip(by, "clip")),
    (Permission.CLIP_READ, lambda w, by: w.service.release_clip(by, "clip")),
    (Permission.AUDIT_READ, lambda w, by: w.service.export_audit(by, w.data_dir / "export")),
    (Permission.AUDIT_READ, lambda w, by: w.service.checkpoint(by)),
    (Permission.AUDIT_READ, lambda w, by: w.service.audit_entries(by)),
    (Permission.AUDIT_READ, lambda w, by: w.service.inclusion_proof(by, 0, 1)),
    (Permission.AUDIT_READ, lambda w, by: w.service.consistency_proof(by, 1, 1)),
    (Permission.CONSENT_REVOKE, lambda w, by: w.service.revoke_consent(by, w.consent_id, "no more")),
    (Permission.VOICE_DECOMMISSION, lambda w, by: w.service.decommission(by, w.voice.voice_id, "the end")),
]


def test_every_role_may_do_exactly_what_its_row_says(world: World) -> None:
    assert {permission for permission, _ in OPERATIONS} == set(Permission)
    assert set(PERMISSIONS) == set(Role)
    keys = {role: world.key(role, purposes=("narration",), voices=("*",)) for role in Role}
    for role, by in keys.items():
        for permission, operation in OPERATIONS:
            if permission not in PERMISSIONS[role]:
                with pytest.raises(PermissionDenied):
                    operation(world, by)
    for permission, operation in OPERATIONS:
        role = next(role for role in Role if permission in PERMISSIONS[role])
        # Allowed to try: the objects that some of them name do not exist.
        with suppress(NotFound, Conflict, InvalidInput):
            operation(world, keys[role])


def test_a_key_can_not_claim_what_does_not_exist(world: World) -> None:
    for claims, code in (
        (Claims(purposes=("narrating",)), "purpose_unknown"),
        (Claims(territories=("Germany",)), "territory_invalid"),
        (Claims(channels=("Über alles",)), "channel_invalid"),
        (Claims(voices=("a voice",)), "voice_unknown"),
    ):
        with pytest.raises(InvalidInput) as refused:
            world.service.create_api_key(world.admin, grantee="g", roles=[Role.JOB], claims=claims)
        assert refused.value.code == code
    with pytest.raises(InvalidInput):
        world.service.create_api_key(world.admin, grantee="g", roles=[], claims=Claims())
    with pytest.raises(InvalidInput):
        world.service.create_api_key(
            world.admin, grantee="g", roles=[Role.JOB], claims=Claims(), expires_at=world.clock.now
        )


def test_a_consent_is_bound_only_to_a_key_of_its_grantee(world: World) -> None:
    stranger = world.key(Role.NARRATOR, grantee="others", purposes=("narration",), voices=("*",))
    with pytest.raises(Conflict) as refused:
        world.service.bind_consent(world.admin, stranger.key_id, world.consent_id)
    assert refused.value.code == "grantee_mismatch"
    with pytest.raises(NotFound):
        world.service.bind_consent(world.admin, "0" * 16, world.consent_id)
    world.service.revoke_consent(world.admin, world.consent_id, "no more")
    with pytest.raises(Conflict):
        world.service.bind_consent(world.admin, world.narrator.key_id, world.consent_id)


def test_a_tenant_is_made_once(world: World, tmp_path: Path) -> None:
    with pytest.raises(Conflict):
        world.service.bootstrap_tenant("acme")
    for name in ("", "../up", "Ünïcode", "a/b", "*", "x" * 64):
        with pytest.raises(InvalidInput):
            world.service.bootstrap_tenant(name)
