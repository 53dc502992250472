"""Whose clip it is, once it is made: the grantee's, and the people's who answer for the tenant's consents."""

from __future__ import annotations

import pytest

from consent_service.errors import GrantRevoked, InvalidInput, NotFound
from consent_service.models import Claims, Role
from tests.assets.installation import Tenant


def made(world: Tenant) -> str:
    return world.service.gate.redeem(world.allow().token, world.replica.replica_id).grant.clip_id


def test_a_clip_is_not_there_for_another_grantee_of_the_tenant(world: Tenant) -> None:
    clip_id = made(world)
    stranger = world.key(Role.NARRATOR, Role.JOB, grantee="others", purposes=("narration",), voices=("*",))
    for ask in (world.service.clips.get, world.service.clips.release):
        with pytest.raises(NotFound) as refused:
            ask(stranger, clip_id)
        assert refused.value.code == "clip_unknown"


@pytest.mark.parametrize(
    "claims", [{"purposes": ("advertising",), "voices": ("*",)}, {"purposes": ("narration",)}]
)
def test_a_key_that_could_not_have_asked_for_a_clip_does_not_get_it_later(
    world: Tenant, claims: dict[str, tuple[str, ...]]
) -> None:
    clip_id = made(world)
    narrow = world.key(Role.NARRATOR, **claims)
    with pytest.raises(NotFound):
        world.service.clips.release(narrow, clip_id)


def test_who_answers_for_the_consents_sees_every_clip_made_under_them(world: Tenant) -> None:
    clip_id = made(world)
    for role in (Role.AUDITOR, Role.VOICE_ADMIN):
        overseer = world.key(role, grantee="the office")
        assert world.service.clips.get(overseer, clip_id).clip_id == clip_id


def test_every_release_of_a_stored_clip_is_audited_and_so_is_every_refusal(world: Tenant) -> None:
    clip_id = made(world)
    world.service.clips.release(world.narrator, clip_id)
    released = world.log()[-1]
    assert (released["kind"], released["clip"], released["by"]) == (
        "clip.released", clip_id, world.narrator.key_id,
    )  # fmt: skip
    world.service.consents.revoke(world.admin, world.consent_id, "no more")
    with pytest.raises(GrantRevoked):
        world.service.clips.release(world.narrator, clip_id)
    assert (world.log()[-1]["kind"], world.log()[-1]["clip"]) == ("clip.withheld", clip_id)


def test_a_release_in_another_form_names_the_file_that_goes_out(world: Tenant) -> None:
    clip_id = made(world)
    world.service.clips.release(world.narrator, clip_id, "0f" * 32)
    assert world.log()[-1]["audio"] == "0f" * 32
    with pytest.raises(InvalidInput):
        world.service.clips.release(world.narrator, clip_id, "no digest")


def test_a_clip_whose_consent_has_expired_is_withheld(world: Tenant) -> None:
    clip_id = made(world)
    world.clock.now = world.consent.consent.terms.valid_until
    with pytest.raises(GrantRevoked):
        world.service.clips.release(world.narrator, clip_id)


def test_a_key_revoked_since_releases_nothing(world: Tenant) -> None:
    clip_id = made(world)
    token = world.service.tenants.create_key(
        world.admin, grantee="studio", roles=[Role.AUDITOR], claims=Claims(), expires_at=world.clock.now + 1
    )
    late = world.service.authenticate(token)
    world.clock.now += 1
    with pytest.raises(Exception, match="revoked or expired"):
        world.service.clips.release(late, clip_id)
