"""Key files: made once, whole, for their owner alone; and what the keys sign is what others can verify."""

from __future__ import annotations

import base64
import json
import pickle
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from consent_service.config import ConsentConfig
from consent_service.errors import VaultError
from consent_service.keys import FileKeyProvider
from consent_service.keys.certificates import from_pem
from consent_service.proofs.protocols import KeyProvider
from consent_service.proofs.records import KeyPurpose
from consent_service.service import ConsentService
from foundation.private_files import KeyFileUnsafe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    FileKeyProvider.create(tmp_path / "keys", organisation="Testers")
    return tmp_path / "keys"


def test_keys_are_files_that_only_their_owner_may_read(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert isinstance(FileKeyProvider(folder), KeyProvider)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_file_that_others_may_read_is_refused(folder: Path, mode: int) -> None:
    for path in list(folder.iterdir()):
        if path.name == "manifest-root.pem":
            continue  # not opened while nothing is rotated
        path.chmod(mode)
        with pytest.raises(KeyFileUnsafe):
            FileKeyProvider(folder)
        path.chmod(0o600)


def test_a_loose_folder_and_a_link_in_place_of_a_key_are_refused(folder: Path) -> None:
    folder.chmod(0o750)
    with pytest.raises(KeyFileUnsafe):
        FileKeyProvider(folder)
    folder.chmod(0o700)
    (folder / "kek.json").rename(folder / "elsewhere")
    (folder / "kek.json").symlink_to(folder / "elsewhere")
    with pytest.raises(KeyFileUnsafe):
        FileKeyProvider(folder)


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"v":1,"current":"a","keys":{"b":""}}', b"\xff", b"[]"])
def test_a_missing_or_damaged_key_file_is_named_and_never_replaced(folder: Path, damage: bytes) -> None:
    (folder / "grant.json").write_bytes(damage)
    with pytest.raises(VaultError, match="damaged"):
        FileKeyProvider(folder)
    (folder / "grant.json").unlink()
    with pytest.raises(VaultError, match=r"grant\.json is missing"):
        FileKeyProvider(folder)


def test_only_the_local_profile_makes_keys(tmp_path: Path) -> None:
    config = ConsentConfig(data_dir=tmp_path / "data", profile="cluster")
    with pytest.raises(VaultError):
        ConsentService.open(config)
    ConsentService.open(config.model_copy(update={"profile": "local"})).close()
    ConsentService.open(config).close()


def test_lost_keys_are_a_loss_and_not_a_first_use(tmp_path: Path) -> None:
    config = ConsentConfig(data_dir=tmp_path / "data")
    ConsentService.open(config).close()
    (tmp_path / "data" / "keys").rename(tmp_path / "lost")
    with pytest.raises(VaultError, match="backup"):
        ConsentService.open(config)


def test_a_provider_shows_and_carries_nothing_but_its_path(folder: Path) -> None:
    keys = FileKeyProvider(folder)
    carried = pickle.dumps(keys)
    for path in folder.glob("*.json"):
        for entry in json.loads(path.read_bytes()).get("keys", {}).values():
            assert base64.b64decode(entry["secret"]) not in carried
            assert entry["secret"] not in repr([keys, vars(keys)])
    assert str(folder) in repr(keys)
    copy = pickle.loads(carried)
    assert copy.public_keys(KeyPurpose.GRANT) == keys.public_keys(KeyPurpose.GRANT)


@pytest.mark.parametrize(
    "spoil", [lambda key: b"no key", lambda key: key.replace(b"A", b"B"), lambda key: P384]
)
def test_a_manifest_key_that_is_none_is_found(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(VaultError, match="P-256"):
        from_pem(spoil(_pem(ec.SECP256R1())))


def _pem(curve: ec.EllipticCurve) -> bytes:
    return ec.generate_private_key(curve).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


P384 = _pem(ec.SECP384R1())
