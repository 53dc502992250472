"""Recordings at rest and on their way: opened by the right hands, for the right use, and by no other."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from consent_service.errors import KeyDestroyed, VaultError
from consent_service.keys import FileKeyProvider
from consent_service.objects import open_store
from consent_service.service import ConsentService
from consent_service.vault.sealing import (
    ReplicaKey,
    open_reference,
    pack_reference,
    reference_info,
    seal,
    unpack_reference,
)
from consent_service.vault.vault import Vault
from tests.assets.installation import Tenant

SECRET = b"RIFF a recording that nobody may see" * 10


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    tmp_path.chmod(0o700)
    keys = FileKeyProvider.create(tmp_path / "keys", organisation="Testers")
    made = Vault(open_store(tmp_path / "vault"), open_store(tmp_path / "wrapped-keys"), keys)
    made.create_key("acme", "voice_a")
    return made


def test_what_is_stored_comes_back_and_lies_sealed(vault: Vault, tmp_path: Path) -> None:
    digest = vault.store("acme", "voice_a", "reference", SECRET)
    assert vault.open("acme", "voice_a", "reference", digest) == SECRET
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or SECRET[:16] not in path.read_bytes()


def test_a_sealed_object_opens_in_its_own_place_only(vault: Vault, tmp_path: Path) -> None:
    digest = vault.store("acme", "voice_a", "reference", SECRET)
    vault.store("acme", "voice_a", "statement", b"other")
    folder = tmp_path / "vault" / "acme" / "voice_a"
    (folder / "statement.sealed").write_bytes((folder / "reference.sealed").read_bytes())
    with pytest.raises(VaultError):
        vault.open("acme", "voice_a", "statement", digest)
    with pytest.raises(VaultError):
        vault.open("acme", "voice_a", "reference", "0" * 64)
    # The files of one voice, key included, moved to another voice or another tenant.
    for tenant, voice in (("acme", "voice_b"), ("rival", "voice_a")):
        for root, name in (("vault", f"{voice}/reference.sealed"), ("wrapped-keys", f"{voice}.wrapped")):
            source = name.replace(voice, "voice_a")
            target = tmp_path / root / tenant / name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.write_bytes((tmp_path / root / "acme" / source).read_bytes())
        with pytest.raises(VaultError):
            vault.open(tenant, voice, "reference", digest)


def test_any_flipped_byte_of_a_sealed_object_is_found(vault: Vault, tmp_path: Path) -> None:
    digest = vault.store("acme", "voice_a", "reference", SECRET)
    path = tmp_path / "vault" / "acme" / "voice_a" / "reference.sealed"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(VaultError):
            vault.open("acme", "voice_a", "reference", digest)
    path.write_bytes(b"")
    with pytest.raises(VaultError):
        vault.open("acme", "voice_a", "reference", digest)


def test_a_destroyed_key_ends_the_voice_even_where_a_copy_of_the_ciphertext_is_left(
    vault: Vault, tmp_path: Path
) -> None:
    digest = vault.store("acme", "voice_a", "reference", SECRET)
    folder = tmp_path / "vault" / "acme" / "voice_a"
    copy = (folder / "reference.sealed").read_bytes()
    vault.destroy("acme", "voice_a")
    vault.destroy("acme", "voice_a")  # again: nothing to do
    assert not folder.exists()
    folder.mkdir(mode=0o700)
    (folder / "reference.sealed").write_bytes(copy)
    with pytest.raises(KeyDestroyed):
        vault.open("acme", "voice_a", "reference", digest)


def test_a_sealed_reference_opens_for_its_replica_and_its_grant_only() -> None:
    mine, other = ReplicaKey("mine"), ReplicaKey("other")
    sealed = seal(mine.public_bytes, SECRET, reference_info("grant", "mine"))
    assert mine.open(sealed, reference_info("grant", "mine")) == SECRET
    for key, info in (
        (other, reference_info("grant", "mine")),
        (mine, reference_info("grant", "other")),
        (mine, reference_info("another", "mine")),
    ):
        with pytest.raises(VaultError):
            key.open(sealed, info)
    with pytest.raises(VaultError):
        mine.open(b"", reference_info("grant", "mine"))
    assert SECRET[:16] not in sealed


def test_reference_and_transcript_survive_the_packing() -> None:
    assert unpack_reference(pack_reference(b"RIFFwav", "grüße 你好")) == (b"RIFFwav", "grüße 你好")


def test_a_preset_brings_no_reference(world: Tenant) -> None:
    claim = world.claim(mode="custom", voice_id="Vivian")
    redeemed = world.service.gate.redeem(
        world.service.gate.authorize(world.narrator, claim).token,  # type: ignore[union-attr]
        world.replica.replica_id,
    )
    with pytest.raises(VaultError):
        open_reference(world.replica, redeemed)


def test_keys_and_services_stay_in_their_process(world: Tenant) -> None:
    for thing in (world.replica, world.service):
        assert isinstance(thing, (ReplicaKey, ConsentService))
        with pytest.raises(TypeError, match="process"):
            pickle.dumps(thing)
