"""Opening an installation: what is missing is made where it may be, renewed where time is up, and refused elsewhere."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from consent_service.config import ConsentConfig
from consent_service.errors import StorageUnavailable, VaultError
from consent_service.keys import FileKeyProvider
from consent_service.service import ConsentService
from tests.assets.installation import Tenant


def test_a_leaf_in_the_last_third_of_its_life_is_renewed_under_the_same_root(world: Tenant) -> None:
    keys, now = world.service.keys, datetime.now(UTC)
    assert isinstance(keys, FileKeyProvider)
    for years, renewed in ((7, False), (9, True)):
        content, _ = keys.new_leaf(now - timedelta(days=365 * years))
        keys.write_leaf(content)
        aged, anchor = keys.certificate_chain(), keys.trust_anchor()
        ConsentService.open(world.config).close()
        assert (keys.certificate_chain() != aged) is renewed
        assert keys.trust_anchor() == anchor
    assert keys.leaf().life.left(now.timestamp()) > 0.99
    x509.load_pem_x509_certificates(aged)[0].verify_directly_issued_by(x509.load_pem_x509_certificate(anchor))


def test_without_the_root_s_key_an_old_leaf_goes_on_and_is_not_renewed(world: Tenant) -> None:
    keys = world.service.keys
    assert isinstance(keys, FileKeyProvider)
    keys.write_leaf(keys.new_leaf(datetime.now(UTC) - timedelta(days=365 * 9))[0])
    # First, as whoever asks for an old leaf has it renewed, beside.
    (world.data_dir / "keys" / "manifest-root.pem").rename(world.data_dir / "kept-elsewhere.pem")
    aged = keys.certificate_chain()
    ConsentService.open(world.config).close()
    assert keys.certificate_chain() == aged
    with pytest.raises(VaultError, match="manifest-root"):
        keys.new_leaf(datetime.now(UTC))


def test_a_data_folder_that_cannot_be_written_is_named_and_not_taken_for_the_ledger(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        StorageUnavailable, match=r"data folder .*/file/data can't be written: Not a directory"
    ):
        ConsentService.open(ConsentConfig(data_dir=tmp_path / "file" / "data"))


def test_an_installation_from_before_watermarks_gets_a_key_for_them(tmp_path: Path) -> None:
    config = ConsentConfig(data_dir=tmp_path / "data")
    ConsentService.open(config).close()
    (tmp_path / "data" / "keys" / "watermark.json").unlink()
    service = ConsentService.open(config)
    again = ConsentService.open(config)
    assert service.keys.watermark_key(1) == again.keys.watermark_key(1)
    for each in (service, again):
        each.close()


def test_a_watermark_key_that_marked_clips_and_is_gone_is_a_loss(world: Tenant) -> None:
    assert world.service.gate.redeem(world.allow().token, world.replica.replica_id).watermark
    (world.data_dir / "keys" / "watermark.json").unlink()
    with pytest.raises(VaultError, match="backup"):
        ConsentService.open(world.config)


def test_secrets_that_changed_places_in_their_ring_are_found(world: Tenant) -> None:
    world.service.rotation.rotate(world.admin)
    path = world.data_dir / "keys" / "kek.json"
    document = json.loads(path.read_bytes())
    one, other = document["keys"].values()
    one["secret"], other["secret"] = other["secret"], one["secret"]
    path.write_text(json.dumps(document))
    with pytest.raises(VaultError, match="damaged"):
        ConsentService.open(world.config)


def test_a_manifest_key_that_is_not_its_certificate_s_is_found(world: Tenant) -> None:
    keys = world.service.keys
    assert isinstance(keys, FileKeyProvider)
    path = world.data_dir / "keys" / "manifest.json"
    other = json.loads(keys.new_leaf(datetime.now(UTC))[0])
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"leaf_key": other["leaf_key"]}))
    with pytest.raises(VaultError, match="certificate"):
        ConsentService.open(world.config)
    path.write_text(json.dumps({"v": 1, "chain": "x", "leaf_key": base64.b64encode(b"x").decode()}))
    with pytest.raises(VaultError, match="damaged"):
        ConsentService.open(world.config)


def test_a_process_that_opened_an_installation_leaves_no_core_dump(tmp_path: Path) -> None:
    program = (
        "import resource, sys; from consent_service.config import ConsentConfig; "
        "from consent_service.service import ConsentService; "
        "ConsentService.open(ConsentConfig(data_dir=sys.argv[1])).close(); "
        "print(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "data")]
    told = subprocess.run(command, capture_output=True, check=True, timeout=120)
    assert told.stdout.strip() == b"(0, 0)"
