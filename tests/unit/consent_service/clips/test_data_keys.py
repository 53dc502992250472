"""Keys of stored clips: their tenant's, their own clip's, and no burden to a rotation."""

from __future__ import annotations

from pathlib import Path

import pytest

from consent_service.errors import NotFound, VaultError
from consent_service.rotation.rotate import KeyKind
from consent_service.service import ConsentService
from tests.assets.installation import DAY, Tenant

KEY = b"k" * 32


def test_a_clip_s_key_opens_for_its_tenant_and_clip_alone(world: Tenant, tmp_path: Path) -> None:
    rival = world.installation.tenant("rival")
    wrapped = world.service.clips.wrap_key("acme", KEY, b"clip 1")
    assert KEY not in wrapped
    assert world.service.clips.unwrap_key("acme", wrapped, b"clip 1") == KEY
    other = ConsentService.open(world.config, clock=world.clock)
    assert other.clips.unwrap_key("acme", wrapped, b"clip 1") == KEY
    rival.service.clips.wrap_key("rival", KEY, b"clip 1")
    for tenant, aad in (("acme", b"clip 2"), ("rival", b"clip 1")):
        with pytest.raises(VaultError):
            other.clips.unwrap_key(tenant, wrapped, aad)
    with pytest.raises(NotFound):
        other.clips.wrap_key("nobody", KEY, b"")
    other.close()


def test_any_changed_byte_is_refused(world: Tenant) -> None:
    wrapped = world.service.clips.wrap_key("acme", KEY, b"clip 1")
    for place in range(len(wrapped)):
        with pytest.raises(VaultError):
            changed = wrapped[:place] + bytes([wrapped[place] ^ 1]) + wrapped[place + 1 :]
            world.service.clips.unwrap_key("acme", changed, b"clip 1")


def test_stored_clips_outlive_the_key_encryption_key_that_they_were_stored_under(world: Tenant) -> None:
    wrapped = world.service.clips.wrap_key("acme", KEY, b"clip 1")
    (rotated,) = world.service.rotation.rotate(world.admin, [KeyKind.KEK])
    assert (rotated.rewrapped, rotated.left) == (2, 0)  # the voice's, and the tenant's of all its clips
    world.clock.now += 2 * DAY
    world.service.rotation.retire(world.admin, [KeyKind.KEK])
    fresh = ConsentService.open(world.config, clock=world.clock)
    assert fresh.clips.unwrap_key("acme", wrapped, b"clip 1") == KEY
    assert fresh.deletion.sweep_vault(world.admin, confirm=True) == []
    assert fresh.clips.unwrap_key("acme", wrapped, b"clip 1") == KEY
    fresh.close()


def test_a_key_from_before_there_were_keys_of_tenants_still_opens(world: Tenant) -> None:
    assert (
        world.service.clips.unwrap_key("acme", world.service.keys.wrap_key(KEY, b"clip 1"), b"clip 1") == KEY
    )
