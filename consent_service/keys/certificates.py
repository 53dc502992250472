"""The two certificates under which manifests are signed (C2PA 2.x, certificate profile; RFC 5280).

A self-signed leaf is refused by C2PA validators, so there is a root of our own and a leaf: P-256, the leaf
with authority key identifier, key usage digitalSignature and extended key usage emailProtection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from consent_service.errors import VaultError

# Manifests carry no time stamp (an authority for that lies outside the boundary), so a clip verifies by itself only
# while its leaf is valid. Hence a leaf that outlives the ten years that a consent may last.
ROOT_LIFETIME: Final = timedelta(days=365 * 25)
LEAF_LIFETIME: Final = timedelta(days=365 * 12)
_CLOCK_SKEW: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Root:
    """The certificate that vouches for every leaf, and its key. The key is needed to issue a leaf, and for
    nothing else."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def create(cls, organisation: str, now: datetime) -> Root:
        key, name = new_manifest_key(), _name(organisation, "clip root")
        certificate = (
            _builder(name, name, key.public_key(), now, now + ROOT_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    def issue(self, public_key: ec.EllipticCurvePublicKey, now: datetime) -> bytes:
        """A leaf for `public_key`. Returns the chain as PEM: leaf first, then root."""
        issuer = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        (organisation,) = self.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        until = min(now + LEAF_LIFETIME, self.certificate.not_valid_after_utc)
        name = _name(str(organisation.value), "clip signer")
        leaf = (
            _builder(name, self.certificate.subject, public_key, now, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        return leaf.public_bytes(pem) + self.certificate.public_bytes(pem)


def new_manifest_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def leaf_id(chain: bytes) -> str:
    """By which a log names a leaf: the beginning of its certificate's SHA-256."""
    return x509.load_pem_x509_certificates(chain)[0].fingerprint(hashes.SHA256()).hex()[:16]


def to_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def from_pem(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Raises VaultError."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise VaultError("a manifest key is not a P-256 key; restore the keys folder from its backup")
    return key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(until)
    )


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(organisation: str, role: str) -> x509.Name:
    # RFC 5280 bounds both attributes at 64 characters.
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{organisation[:48]} {role}"),
        ]
    )
