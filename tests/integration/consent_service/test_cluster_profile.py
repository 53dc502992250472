"""PostgreSQL, S3 and a KMS, from configuration alone; and no secret of theirs in what travels or lies about."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from consent_service.config import ConsentConfig
from consent_service.errors import ConsentError, KeyDestroyed
from consent_service.keys.kms import KmsKeyProvider
from consent_service.objects import open_store
from consent_service.proofs.log import verify_export
from consent_service.proofs.records import KeyPurpose
from consent_service.rotation.rotate import KeyKind
from consent_service.service import ConsentService
from consent_service.vault.sealing import open_reference
from tests.assets.aws import SECRET, Aws, Kms
from tests.assets.databases import drop, new_postgresql
from tests.assets.installation import DAY, UNEXAMINED, Installation, Tenant


@dataclass
class Cluster:
    """An installation that keeps nothing on this machine but the node's secret."""

    world: Tenant
    config: ConsentConfig
    bucket: str
    aws: Aws


@pytest.fixture
def cluster(tmp_path: Path, aws: Aws, kms: Kms, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    url, bucket = new_postgresql(), aws.bucket(versioned=True)
    monkeypatch.setenv("VOUCH_TEST_LEDGER", url)
    config = ConsentConfig(
        data_dir=tmp_path / "data",
        ledger_url="${VOUCH_TEST_LEDGER}",
        vault_url=f"s3://{bucket}/vault",
        wrapped_keys_url=f"s3://{bucket}/wrapped-keys",
        keys_url=f"s3://{bucket}/keys",
        kms=kms.config(manifest=kms.manifest),
        examination=UNEXAMINED,
    )
    ConsentService.open(config).close()  # once, in profile local: makes what a cluster then finds
    config = config.model_copy(update={"profile": "cluster"})
    world = Installation.create(config).tenant()
    yield Cluster(world, config, bucket, aws)
    world.service.close()
    drop(url)


def test_a_voice_is_enrolled_spoken_with_and_ended_where_nothing_is_local(
    cluster: Cluster, tmp_path: Path
) -> None:
    world, service = cluster.world, cluster.world.service
    other = ConsentService.open(cluster.config, clock=world.clock)  # another node
    redeemed = other.gate.redeem(world.allow().token, world.replica.replica_id)
    assert open_reference(world.replica, redeemed)[0].startswith(b"RIFF")
    other.rotation.rotate(world.admin, list(KeyKind)[:3])
    assert service.keys.current_key_id(KeyPurpose.GRANT) == other.keys.current_key_id(KeyPurpose.GRANT)
    redeemed = service.gate.redeem(world.allow("again").token, world.replica.replica_id)
    assert open_reference(world.replica, redeemed)[0].startswith(b"RIFF")
    stored = {path.name for path in (tmp_path / "data").rglob("*") if path.is_file()}
    assert stored <= {"node.secret", ".opening.lock", ".rotating.lock"}, stored

    service.deletion.decommission(world.admin, world.voice.voice_id, "the end")
    assert not [key for key in cluster.aws.copies(cluster.bucket) if world.voice.voice_id in key]
    with pytest.raises(KeyDestroyed):
        service._core.vault.open("acme", world.voice.voice_id, "reference", world.voice.prompt_digest)
    service.log.export(world.auditor, tmp_path / "export")
    assert verify_export(tmp_path / "export")
    other.close()


def test_nothing_in_s3_can_be_read_without_the_kms(cluster: Cluster) -> None:
    keys = cluster.world.service.keys
    assert isinstance(keys, KmsKeyProvider)
    secrets = [k.private_bytes_raw() for w in keys._signing.values() for k in w.get().private.values()]
    secrets += [*keys._marks.get().secrets.values(), b"PRIVATE KEY", b"RIFF", b"what is said in the sample"]
    for part in ("vault", "wrapped-keys", "keys"):
        store = open_store(f"s3://{cluster.bucket}/{part}")
        assert store.names()
        for name in store.names():
            content = store.get(name)
            assert not [secret for secret in secrets if secret in content], name


def test_the_configuration_carries_no_secret_to_where_it_travels(
    cluster: Cluster, kms: Kms, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    password = "marked-password-ochre-bell"
    address = f"postgresql+psycopg://vouch:{quote(password)}@127.0.0.1:1/vouch"
    monkeypatch.setenv("VOUCH_TEST_LEDGER", address)
    with pytest.raises(ConsentError) as refused:
        ConsentService.open(cluster.config)
    config = cluster.config
    shown = [
        repr(config), str(config), config.model_dump_json(), repr(pickle.dumps(config)),
        repr(cluster.world.service.keys),
        repr(pickle.dumps(cluster.world.service.keys)), "".join(traceback.format_exception(refused.value)), caplog.text,
    ]  # fmt: skip
    for text in shown:
        assert password not in text
        assert SECRET not in text


def test_a_rotation_reaches_other_nodes_and_every_voice_in_s3(cluster: Cluster, kms: Kms) -> None:
    world = cluster.world
    config = cluster.config.model_copy(update={"kms": kms.config(kek=kms.new_kek(), seal=kms.kek)})
    operator = ConsentService.open(config, clock=world.clock)
    before = world.core.vault.wrapped_key("acme", world.voice.voice_id)
    (rotated,) = operator.rotation.rotate(world.admin, [KeyKind.KEK])
    assert (rotated.rewrapped, rotated.left) == (1, 0)
    kept = [key for key in cluster.aws.copies(cluster.bucket) if key.endswith(".wrapped")]
    assert len(kept) == 1  # no older version, which a leaked key would open
    redeemed = world.service.gate.redeem(world.allow().token, world.replica.replica_id)
    assert open_reference(world.replica, redeemed)[0].startswith(b"RIFF")
    world.clock.now += 2 * DAY
    operator.rotation.retire(world.admin, [KeyKind.KEK])
    with pytest.raises(ConsentError):
        world.service.keys.unwrap_key(before, b"")
    operator.close()
