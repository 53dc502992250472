"""Keys in a KMS, over HTTP: wrapped there, sealed by it, bound to what they belong to; and nothing where it is away."""

from __future__ import annotations

import base64
import hashlib
import json
import pickle
import traceback
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from consent_service.config import ConsentConfig
from consent_service.errors import Conflict, KeyServiceUnavailable, VaultError
from consent_service.keys.kms import KmsKeyProvider
from consent_service.keys.kms_client import KmsClient
from consent_service.keys.ring import SIGNING, Ring
from consent_service.objects import open_store
from consent_service.proofs.records import KeyPurpose
from consent_service.rotation.rotate import USUAL, KeyKind
from consent_service.service import ConsentService
from tests.assets.aws import SECRET, Kms
from tests.assets.installation import DAY, START, Clock


@pytest.fixture
def keys(kms: Kms, tmp_path: Path) -> KmsKeyProvider:
    tmp_path.chmod(0o700)
    return KmsKeyProvider.create(tmp_path / "sealed", kms.config(), organisation="Testers")


def test_no_secret_lies_on_the_disk_but_sealed(keys: KmsKeyProvider, tmp_path: Path) -> None:
    opened = [watched.get().private for watched in keys._signing.values()]
    secrets = [key.private_bytes_raw() for signers in opened for key in signers.values()]
    secrets += list(keys._marks.get().secrets.values())
    assert len(secrets) == 4
    written = [path.read_bytes() for path in (tmp_path / "sealed").iterdir()]
    written += [key.secret or b"" for ring in SIGNING for key in keys.ring(ring).keys.values()]
    for shown in (*written, repr(keys).encode(), repr(vars(keys)).encode(), pickle.dumps(keys)):
        assert b"PRIVATE KEY" not in shown
        assert SECRET.encode() not in shown
        for secret in secrets:
            assert secret not in shown
            assert base64.b64encode(secret) not in shown
            assert repr(secret).encode() not in shown


def test_a_secret_sealed_for_one_file_opens_in_no_other(
    keys: KmsKeyProvider, kms: Kms, tmp_path: Path
) -> None:
    store = open_store(tmp_path / "sealed")
    store.put("grant.json", store.get("receipt.json"))
    with pytest.raises(VaultError):
        KmsKeyProvider(tmp_path / "sealed", kms.config())


def test_manifests_are_signed_in_the_kms_where_it_holds_the_key(kms: Kms, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    config = kms.config(manifest=kms.alias(kms.manifest))
    keys = KmsKeyProvider.create(tmp_path / "sealed", config, organisation="Testers")
    leaf, root = x509.load_pem_x509_certificates(keys.certificate_chain())
    leaf.verify_directly_issued_by(root)
    public = leaf.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    long = b"claim" * 5000
    # The server here takes a digest for a message, and hashes it once more.
    for message, signed in ((b"claim", b"claim"), (long, hashlib.sha256(long).digest())):
        signature = keys.sign_manifest(message)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        public.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    assert "leaf_key" not in json.loads((tmp_path / "sealed" / "manifest.json").read_bytes())


def test_a_key_of_the_wrong_kind_signs_no_manifest(kms: Kms, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    other = kms.aws.client("kms").create_key(KeySpec="ECC_NIST_P384", KeyUsage="SIGN_VERIFY")["KeyMetadata"][
        "KeyId"
    ]
    with pytest.raises(VaultError):
        KmsKeyProvider.create(tmp_path / "sealed", kms.config(manifest=other), organisation="Testers")
    with pytest.raises(VaultError, match="no sealed keys"):  # and nothing half made is opened
        KmsKeyProvider(tmp_path / "sealed", kms.config())


def test_a_kms_that_refuses_gives_no_key_and_repeats_no_secret(kms: Kms) -> None:
    client, unknown = KmsClient(kms.config()), "00000000-0000-0000-0000-000000000000"
    for use in (
        lambda: client.encrypt(unknown, b"k" * 32, b"aad"),
        lambda: client.sign_p256(unknown, b"k" * 32),
        lambda: client.arn("alias/nobody"),
    ):
        with pytest.raises(KeyServiceUnavailable) as refused:
            use()
        told = "".join(traceback.format_exception(refused.value))
        assert SECRET not in told
        assert "k" * 32 not in told


def test_a_kms_that_is_away_gives_no_key(keys: KmsKeyProvider, kms: Kms, tmp_path: Path) -> None:
    away = kms.config(endpoint_url="http://127.0.0.1:9", connect_timeout_s=0.2)
    with pytest.raises(KeyServiceUnavailable):
        KmsKeyProvider(tmp_path / "sealed", away)


def test_a_rotated_kms_key_takes_over_and_the_old_one_can_go(kms: Kms, tmp_path: Path) -> None:
    alias = kms.alias(kms.kek)
    clock = Clock(START)
    config = ConsentConfig(data_dir=tmp_path / "data", kms=kms.config(kek=alias, seal=kms.kek))
    service = ConsentService.open(config, clock=clock)
    by = service.authenticate(service.tenants.bootstrap("acme"))
    keys = service.keys
    assert isinstance(keys, KmsKeyProvider)
    with pytest.raises(Conflict) as refused:
        service.rotation.rotate(by, [KeyKind.KEK])
    assert refused.value.code == "key_not_new"
    before = keys.wrap_key(b"k" * 32, b"aad")
    kms.aws.client("kms").update_alias(AliasName=alias, TargetKeyId=kms.new_kek())
    (rotated,) = service.rotation.rotate(by, [KeyKind.KEK])
    after = keys.rewrap_key(before, b"aad")
    assert (keys.wrapped_under(before), keys.wrapped_under(after)) == (rotated.old, rotated.new)
    assert keys.unwrap_key(before, b"aad") == keys.unwrap_key(after, b"aad") == b"k" * 32
    with pytest.raises(VaultError):
        keys.rewrap_key(before, b"another")
    clock.now += 2 * DAY
    service.rotation.retire(by, USUAL)
    with pytest.raises(VaultError):
        keys.unwrap_key(before, b"aad")
    assert keys.unwrap_key(after, b"aad") == b"k" * 32
    for ring in SIGNING:
        assert len(service.rotation.rotate(by, [KeyKind(ring.value)])) == 1
    service.close()


def test_only_the_local_profile_seals_new_keys_and_a_loss_is_no_first_use(kms: Kms, tmp_path: Path) -> None:
    cluster = ConsentConfig(data_dir=tmp_path / "data", kms=kms.config(), profile="cluster")
    with pytest.raises(VaultError):
        ConsentService.open(cluster)
    local = cluster.model_copy(update={"profile": "local"})
    ConsentService.open(local).close()
    ConsentService.open(cluster).close()
    store = open_store(tmp_path / "data" / "keys")
    for name in store.names():
        store.delete_every_copy(name)
    for config in (cluster, local):
        with pytest.raises(VaultError):
            ConsentService.open(config)


def test_what_another_node_rotates_is_seen_when_the_time_to_look_has_come(
    kms: Kms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    now = [1000.0]
    monkeypatch.setattr("consent_service.keys.kms.time.monotonic", lambda: now[0])
    config = kms.config(refresh_s=10.0)
    here = KmsKeyProvider.create(tmp_path / "sealed", config, organisation="Testers")
    there = KmsKeyProvider(tmp_path / "sealed", config)
    kid, key = there.new_key(Ring.GRANT)
    there.write_ring(Ring.GRANT, there.ring(Ring.GRANT).publish(kid, key).promote(0.0, keep_secret=False))
    assert here.current_key_id(KeyPurpose.GRANT) != kid
    now[0] += here.box.behind_s
    assert here.current_key_id(KeyPurpose.GRANT) == kid
    (tmp_path / "sealed" / "grant.json").unlink()
    now[0] += here.box.behind_s
    with pytest.raises(VaultError, match=r"grant\.json is missing"):
        here.sign(KeyPurpose.GRANT, b"message")
    assert str(tmp_path) in repr(here.box)


def test_a_set_of_keys_that_was_never_finished_is_begun_again(kms: Kms, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    half = KmsKeyProvider.create(tmp_path / "sealed", kms.config(), organisation="Testers").trust_anchor()
    (tmp_path / "sealed" / "complete").unlink()
    whole = KmsKeyProvider.create(tmp_path / "sealed", kms.config(), organisation="Testers")
    assert whole.trust_anchor() != half
    again = KmsKeyProvider.create(tmp_path / "sealed", kms.config(), organisation="Testers")
    assert again.trust_anchor() == whole.trust_anchor()
