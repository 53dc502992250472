"""A clip's record may point only to where clips lie: deletion goes wherever it points."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from consent_service.errors import InvalidInput
from tests.assets.installation import Tenant


def place(world: Tenant, *uris: str) -> None:
    for store in ("s3://b", "file:///var/clips"):
        world.service.clips.register_store(store, "output")
    redeemed = world.service.gate.redeem(world.allow().token, world.replica.replica_id)
    record = redeemed.clip_record(created_at=world.clock.now)
    world.service.clips.register_clip(replace(record, audio_sha256="ab" * 32, seconds=1.0, objects=uris))


@pytest.mark.parametrize(
    "uri",
    [
        "file:///var/clips/acme/a.wav", "/var/clips/acme/a.wav", "s3://b/acme/deep/er/a.wav",
        "file:///var/clips/acme/a%20b.wav",
    ],
)  # fmt: skip
def test_a_copy_lies_in_a_store_in_the_folder_of_its_tenant(world: Tenant, uri: str) -> None:
    place(world, uri)


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd", "/var/clips/other/a.wav", "/var/clips/a.wav", "/var/clips", "file:///var/clips/acme",
        "/var/clips/acme/../other/a.wav", "file:///var/clips/acme/%2e%2e/other/a.wav", "/var/clipsacme/a.wav",
        "s3://b/other/a.wav", "s3://b2/acme/a.wav", "ftp://b/acme/a.wav", "", "a.wav", "s3://b/acme/../other/a",
    ],
)  # fmt: skip
def test_no_other_place_is_taken_for_a_clips(world: Tenant, uri: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        place(world, "s3://b/acme/a.wav", uri)
    assert refused.value.code == "object_outside_stores"


def test_nobody_has_keys_or_anothers_recordings_deleted_as_clips_of_their_own(
    world: Tenant, tmp_path: Path
) -> None:
    evil = world.installation.tenant("evil")
    kept = sorted(path for path in world.data_dir.rglob("*") if path.is_file() and "clips" not in path.parts)
    assert any(path.name == "grant.json" for path in kept)
    assert any(path.suffix == ".wrapped" for path in kept)
    for path in kept:
        with pytest.raises(InvalidInput):
            place(evil, str(path))


@pytest.mark.parametrize("folder", [".", "keys", "vault", "vault/acme", "wrapped-keys", "node", ".."])
def test_a_store_holds_neither_keys_nor_the_vault(world: Tenant, folder: str) -> None:
    with pytest.raises(InvalidInput):
        world.service.clips.register_store(str((world.data_dir / folder).resolve()), "output", tenant="acme")


def test_a_store_of_one_tenant_is_no_place_for_another(world: Tenant, tmp_path: Path) -> None:
    evil = world.installation.tenant("evil")
    world.service.clips.register_store("/srv/acme-out", "output", tenant="acme")
    place(world, "/srv/acme-out/a.wav")
    with pytest.raises(InvalidInput):
        place(evil, "/srv/acme-out/a.wav")
