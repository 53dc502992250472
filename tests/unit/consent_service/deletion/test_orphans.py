"""What a process left in the vault that died before its commit is found and destroyed; nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from consent_service.access import Permission
from consent_service.deletion import orphans
from consent_service.errors import KeyDestroyed
from consent_service.ids import new_id
from consent_service.vault.sealing import open_reference
from consent_service.voices.records import change
from tests.assets.installation import DAY, Tenant


def leave(world: Tenant, voice_id: str, *kinds: str) -> None:
    """As a process would that stored and died."""
    vault = world.core.vault
    vault.create_key("acme", voice_id)
    for kind in kinds:
        vault.store("acme", voice_id, kind, b"RIFF of somebody", origin="x")


def test_a_voice_that_was_never_committed_leaves_nothing(world: Tenant) -> None:
    lost = new_id("voice")
    leave(world, lost, "reference")
    before = world.kinds()
    assert world.service.deletion.sweep_vault(world.admin) == [lost], "a dry run, unless confirmed"
    assert world.kinds() == before
    assert world.service.deletion.sweep_vault(world.admin, confirm=True) == [lost]
    assert world.service.deletion.sweep_vault(world.admin, confirm=True) == []
    assert [voice for _, voice in world.core.vault.voices()] == [world.voice.voice_id]
    assert world.log()[-1]["kind"] == "voice.orphan_destroyed"


def test_an_enrolment_that_can_still_be_completed_keeps_what_it_has(world: Tenant) -> None:
    challenge = world.service.voices.begin_enrolment(
        world.admin, name="n", language="en", grantee="studio", purpose="narration", subject_name="s"
    )
    leave(world, challenge.voice_id, "reference", "statement")
    assert world.service.deletion.sweep_vault(world.admin, confirm=True) == []
    world.clock.now = challenge.expires_at + 1
    assert world.service.deletion.sweep_vault(world.admin, confirm=True) == [challenge.voice_id]


def test_a_refused_voice_whose_destruction_was_cut_short_is_destroyed(world: Tenant) -> None:
    voice = world.enrol("Another", 210.0)
    core = world.core
    with core.write(world.admin, Permission.VOICE_DECOMMISSION) as writing:
        change(writing, voice.voice_id, state="refused")
    assert world.service.deletion.sweep_vault(world.admin, confirm=True) == [voice.voice_id]
    with pytest.raises(KeyDestroyed):
        core.vault.wrapped_key("acme", voice.voice_id)


def test_a_further_statement_that_nobody_completed_goes_and_its_voice_stays(world: Tenant) -> None:
    core, lost = world.core, new_id("enrolment")
    core.vault.store("acme", world.voice.voice_id, f"statement.{lost}", b"RIFF of somebody", origin=lost)
    assert world.service.deletion.sweep_vault(world.admin, confirm=True) == [lost]
    assert f"statement.{lost}" not in [kind for _, kind in core.vault.objects("acme")]
    world.clock.now += DAY
    redeemed = world.service.gate.redeem(world.allow().token, world.replica.replica_id)
    assert open_reference(world.replica, redeemed)[0].startswith(b"RIFF")


def test_a_tenant_sweeps_what_is_its_own(world: Tenant) -> None:
    lost = new_id("voice")
    world.core.vault.create_key("rival", lost)
    assert world.service.deletion.sweep_vault(world.admin, confirm=True) == []
    assert ("rival", lost) in world.core.vault.voices()


def test_a_write_that_was_cut_short_is_found_too(world: Tenant) -> None:
    lost = new_id("voice")
    for folder, name in (
        ("wrapped-keys/acme", f".{lost}.wrapped.x7.new"),
        (f"vault/acme/{lost}", ".reference.sealed.x7.new"),
    ):
        path = world.data_dir / folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_bytes(b"half of it")
        assert world.service.deletion.sweep_vault(world.admin, confirm=True) == [lost]
        assert not path.exists()


def test_a_voice_that_came_to_life_after_the_look_is_left_alone(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, loose = new_id("voice"), new_id("enrolment")
    leave(world, lost, "reference")
    world.core.vault.store(
        "acme", world.voice.voice_id, f"statement.{loose}", b"RIFF of somebody", origin=loose
    )
    looks = {"_is_orphan": orphans._is_orphan, "_is_loose": orphans._is_loose}
    seen: list[str] = []
    for name, look in looks.items():

        def once(*about: Any, name: str = name, look: Any = look) -> bool:
            """True at the first look, as for what its owner is about to commit; false under the lock."""
            found = bool(look(*about))
            seen.extend([name] if found else [])
            return found and seen.count(name) == 1

        monkeypatch.setattr(orphans, name, once)
    assert world.service.deletion.sweep_vault(world.admin, confirm=True) == []
    assert ("acme", lost) in world.core.vault.voices()
    assert f"statement.{loose}" in [kind for _, kind in world.core.vault.objects("acme")]
