"""A root, leaves under it, and an in-memory ManifestSigner: P-256, as C2PA asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class MemorySigner:
    """A ManifestSigner over a key in memory."""

    chain: bytes
    key_pem: bytes = field(repr=False)

    def certificate_chain(self) -> bytes:
        return self.chain

    def sign_manifest(self, message: bytes, chain: bytes | None = None) -> bytes:
        key = serialization.load_pem_private_key(self.key_pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@dataclass(frozen=True)
class Authority:
    """A root certificate and its key, and the leaf that signs manifests."""

    root: x509.Certificate
    root_key: ec.EllipticCurvePrivateKey = field(repr=False)
    signer: MemorySigner = field(repr=False)

    @classmethod
    def create(cls, name: str = "Test root", years: int = 1) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        root = _certificate(name, name, key, key, now - _DAY, now + years * 365 * _DAY, is_root=True)
        return cls(root, key, leaf_under(root, key, now - _DAY, now + 90 * _DAY))

    @property
    def root_pem(self) -> bytes:
        return _pem(self.root)

    def leaf(self, not_before: datetime, not_after: datetime) -> MemorySigner:
        return leaf_under(self.root, self.root_key, not_before, not_after)


def leaf_under(
    root: x509.Certificate, root_key: ec.EllipticCurvePrivateKey, not_before: datetime, not_after: datetime
) -> MemorySigner:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    leaf = _certificate(str(issuer), "Test leaf", root_key, key, not_before, not_after, is_root=False)
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return MemorySigner(_pem(leaf) + _pem(root), encoded)


def _certificate(
    issuer: str,
    subject: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    not_before: datetime,
    not_after: datetime,
    *,
    is_root: bool,
) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=not is_root,
        key_cert_sign=is_root,
        crl_sign=is_root,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if not is_root:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Vouch tests"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
