"""One leaf for one signature.

A signer tells its chain in one call and signs in others, and the leaf may be renewed between two of them: then the
certificate that goes with a signature is not its own. So each signature is held against the leaf it was asked for, and
what was made under a leaf that is the signer's no longer is made again under the next. The signer is told which leaf
is meant: of several gates, one that has not noticed the renewal yet looks again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from consent_service.proofs.protocols import ManifestSigner
from provenance.errors import StampFailed

T = TypeVar("T")

# One renewal needs a second try. The others are for gates that don't notice it together: a chain that one of them told
# can be out of date at the next, as often as the old one is told.
_TRIES: Final = 8
_COORDINATE: Final = 32


class LeafChanged(Exception):
    """The signature is not the leaf's."""


@dataclass(frozen=True, slots=True)
class SigningLeaf:
    """The leaf that a signer named last. `chain`: PEM, leaf first, then root."""

    chain: bytes
    certificate: x509.Certificate = field(repr=False)
    _signer: ManifestSigner = field(repr=False)

    @classmethod
    def of(cls, signer: ManifestSigner) -> SigningLeaf:
        chain = signer.certificate_chain()
        return cls(chain, x509.load_pem_x509_certificates(chain)[0], signer)

    def sign(self, message: bytes) -> bytes:
        """ES256: 64 bytes, r‖s (RFC 7518 §3.4). Raises LeafChanged, and what the signer raises."""
        signature, key = self._signer.sign_manifest(message, self.chain), self.certificate.public_key()
        r, s = (int.from_bytes(half, "big") for half in (signature[:_COORDINATE], signature[_COORDINATE:]))
        try:
            if not isinstance(key, ec.EllipticCurvePublicKey) or len(signature) != 2 * _COORDINATE:
                raise LeafChanged
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise LeafChanged from None
        return signature


class LeafSigner:
    """Signs under the leaf that the signer named last, and asks for another when a signature is not that leaf's any
    more: a renewal costs one clip a second try, and no clip asks for a chain that is known. Thread-safe."""

    def __init__(self, signer: ManifestSigner) -> None:
        self._signer = signer
        self._leaf: SigningLeaf | None = None

    def under_one_leaf(self, make: Callable[[SigningLeaf], T]) -> T:
        """What `make` makes, all of it under the leaf it is given. Raises StampFailed when the signer's signatures are
        never its leaf's."""
        leaf = self._leaf
        for _ in range(_TRIES):
            if leaf is None:
                leaf = SigningLeaf.of(self._signer)
            try:
                made = make(leaf)
            except LeafChanged:
                leaf = None
                continue
            self._leaf = leaf
            return made
        raise StampFailed(
            f"a signature was not its certificate's, {_TRIES} times: while a leaf is renewed that passes, so try "
            "again; if it stays, compare the keys that each gate reads"
        )
