"""What every `KeyProvider` promises, wherever it keeps its keys: key files, or a KMS with the rings sealed by it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID

from consent_service.errors import VaultError
from consent_service.keys import FileKeyProvider
from consent_service.keys.kms import KmsKeyProvider
from consent_service.proofs.protocols import KeyProvider
from consent_service.proofs.records import KeyPurpose
from tests.assets.aws import Kms

KEY = b"k" * 32
SIGNING = (KeyPurpose.GRANT, KeyPurpose.LOG, KeyPurpose.RECEIPT)


@pytest.fixture(params=["files", pytest.param("kms", marks=pytest.mark.aws)])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], KeyProvider]:
    """Opens the keys that were created for this test; each call as another process would."""
    folder = tmp_path / "keys"
    if request.param == "files":
        FileKeyProvider.create(folder, organisation="Testers")
        return lambda: FileKeyProvider(folder)
    tmp_path.chmod(0o700)
    kms: Kms = request.getfixturevalue("kms")
    KmsKeyProvider.create(folder, kms.config(), organisation="Testers")
    return lambda: KmsKeyProvider(folder, kms.config())


@pytest.fixture
def keys(provider: Callable[[], KeyProvider]) -> KeyProvider:
    return provider()


def test_it_has_every_method_of_the_protocol(keys: KeyProvider) -> None:
    assert isinstance(keys, KeyProvider)


def test_a_wrapped_key_opens_only_for_what_it_was_wrapped_for(keys: KeyProvider) -> None:
    wrapped = keys.wrap_key(KEY, b"one voice")
    assert KEY[:8] not in wrapped
    assert keys.unwrap_key(wrapped, b"one voice") == KEY
    with pytest.raises(VaultError):
        keys.unwrap_key(wrapped, b"another voice")


def test_a_wrapped_key_with_any_byte_changed_is_refused(keys: KeyProvider) -> None:
    wrapped = keys.wrap_key(KEY, b"one voice")
    for place in range(len(wrapped)):
        damaged = bytearray(wrapped)
        damaged[place] ^= 1
        with pytest.raises(VaultError):
            keys.unwrap_key(bytes(damaged), b"one voice")
    for short in (b"", wrapped[:8], wrapped[:20]):
        with pytest.raises(VaultError):
            keys.unwrap_key(short, b"one voice")


@pytest.mark.parametrize("purpose", SIGNING)
def test_a_signature_verifies_under_the_key_that_it_names(keys: KeyProvider, purpose: KeyPurpose) -> None:
    key_id, signature = keys.sign(purpose, b"message")
    assert key_id == keys.current_key_id(purpose)
    Ed25519PublicKey.from_public_bytes(keys.public_keys(purpose)[key_id]).verify(signature, b"message")
    held = keys.signer(purpose)
    assert (held.key_id, held.public_key) == (key_id, keys.public_keys(purpose)[key_id])
    Ed25519PublicKey.from_public_bytes(held.public_key).verify(held.sign(b"another"), b"another")


def test_a_key_of_one_purpose_is_no_key_of_another(keys: KeyProvider) -> None:
    key_id, signature = keys.sign(KeyPurpose.RECEIPT, b"message")
    assert key_id not in keys.public_keys(KeyPurpose.GRANT)
    for raw in keys.public_keys(KeyPurpose.GRANT).values():
        with pytest.raises(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, b"message")


def test_the_same_keys_come_back_in_another_process(
    keys: KeyProvider, provider: Callable[[], KeyProvider]
) -> None:
    wrapped = keys.wrap_key(KEY, b"aad")
    for other in (provider(), pickle.loads(pickle.dumps(keys))):
        assert other.unwrap_key(wrapped, b"aad") == KEY
        for purpose in SIGNING:
            assert other.public_keys(purpose) == keys.public_keys(purpose)
            assert other.current_key_id(purpose) == keys.current_key_id(purpose)
        assert other.certificate_chain() == keys.certificate_chain()
        assert other.trust_anchor() == keys.trust_anchor()
        assert other.watermark_key(1) == keys.watermark_key(1)


def test_each_epoch_of_the_watermark_has_a_key_of_its_own(keys: KeyProvider) -> None:
    found = [keys.watermark_key(epoch) for epoch in (1, 2, 3)]
    assert {len(key) for key in found} == {32}
    assert len(set(found)) == 3


def test_the_leaf_is_what_c2pa_asks_of_a_signer_and_signs_manifests(keys: KeyProvider) -> None:
    leaf, root = x509.load_pem_x509_certificates(keys.certificate_chain())
    assert x509.load_pem_x509_certificate(keys.trust_anchor()) == root
    leaf.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    known = {extension.oid: extension.value for extension in leaf.extensions}
    assert known[x509.KeyUsage.oid].digital_signature  # type: ignore[attr-defined]
    assert list(known[x509.ExtendedKeyUsage.oid]) == [ExtendedKeyUsageOID.EMAIL_PROTECTION]  # type: ignore[call-overload]
    issuer = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert known[x509.AuthorityKeyIdentifier.oid].key_identifier == issuer.digest  # type: ignore[attr-defined]
    signature = keys.sign_manifest(b"claim")
    assert len(signature) == 64
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    public = leaf.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(encode_dss_signature(r, s), b"claim", ec.ECDSA(hashes.SHA256()))


def test_a_representation_shows_no_data_key(keys: KeyProvider) -> None:
    wrapped = keys.wrap_key(KEY, b"aad")
    keys.unwrap_key(wrapped, b"aad")
    assert KEY.decode() not in repr([keys, vars(keys)])
