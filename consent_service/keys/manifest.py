"""The leaf under which manifests are signed: its key (or the name of one in a KMS), its chain, and its renewal.

A leaf is renewed by the root, in one write, with a fresh key: what older leaves signed stays verifiable through
the root. The root's key lies in a file of its own and is read only to renew.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from consent_service.errors import VaultError
from consent_service.keys.box import KeyBox, Sealer
from consent_service.keys.certificates import Root, from_pem, leaf_id, new_manifest_key, to_pem
from consent_service.keys.lifetime import Lifetime

MANIFEST_FILE: Final = "manifest.json"
ROOT_FILE: Final = "manifest-root.pem"
# As the first form kept them.
OLD_LEAF_FILE: Final = "manifest-leaf.pem"
OLD_CHAIN_FILE: Final = "manifest-chain.pem"
# A signature in DER over a message.
DerSign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class SigningCertificate:
    """What signs manifests now. `chain`: PEM, leaf first, then root."""

    chain: bytes
    life: Lifetime
    sign_der: DerSign = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """64 bytes, r‖s (RFC 7518 §3.4)."""
        r, s = decode_dss_signature(self.sign_der(message))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    @property
    def leaf_id(self) -> str:
        return leaf_id(self.chain)

    @property
    def root(self) -> x509.Certificate:
        return x509.load_pem_x509_certificates(self.chain)[-1]


def read_leaf(sealer: Sealer, raw: bytes, remote: Callable[[str], DerSign]) -> SigningCertificate:
    """`remote` signs with a key that never leaves its KMS. Raises VaultError."""
    try:
        document: dict[str, Any] = json.loads(raw)
        chain, elsewhere = str(document["chain"]).encode("ascii"), document.get("kms_key")
        kept = b"" if elsewhere else base64.b64decode(document["leaf_key"], validate=True)
        leaf, _root = x509.load_pem_x509_certificates(chain)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise VaultError(
            "the manifest key's file is damaged; restore the keys folder from its backup"
        ) from None
    if elsewhere:
        return SigningCertificate(chain, Lifetime.of(leaf), remote(str(elsewhere)))
    key = from_pem(sealer.open(MANIFEST_FILE, kept))
    if key.public_key() != leaf.public_key():
        raise VaultError("the manifest key is not its certificate's; restore the keys folder from its backup")
    return SigningCertificate(
        chain, Lifetime.of(leaf), lambda message: key.sign(message, ec.ECDSA(hashes.SHA256()))
    )


def chain_of(content: bytes) -> bytes:
    """The chain in a file's content."""
    return str(json.loads(content)["chain"]).encode("ascii")


def issue_leaf(sealer: Sealer, root: Root, now: datetime) -> bytes:
    """A fresh key and its chain, as the file's content."""
    key = new_manifest_key()
    kept = base64.b64encode(sealer.seal(MANIFEST_FILE, to_pem(key))).decode("ascii")
    return _content(root.issue(key.public_key(), now), leaf_key=kept)


def issue_remote_leaf(
    root: Root, kms_key: str, public_key: ec.EllipticCurvePublicKey, now: datetime
) -> bytes:
    """A chain for a key in a KMS, as the file's content."""
    return _content(root.issue(public_key, now), kms_key=kms_key)


def read_root(box: KeyBox, leaf: SigningCertificate) -> Root:
    """Raises VaultError when the root's key was taken away."""
    return Root(leaf.root, from_pem(box.open(ROOT_FILE, box.read(ROOT_FILE))))


def seal_root(sealer: Sealer, root: Root) -> bytes:
    return sealer.seal(ROOT_FILE, to_pem(root.key))


def upgrade(box: KeyBox) -> None:
    """Put the first form's two files into one, so that key and chain change together. Safe to repeat."""
    if not box.has(MANIFEST_FILE) and box.has(OLD_LEAF_FILE):
        kept = base64.b64encode(box.read(OLD_LEAF_FILE)).decode("ascii")
        box.write(MANIFEST_FILE, _content(box.read(OLD_CHAIN_FILE), leaf_key=kept))
    for name in (OLD_LEAF_FILE, OLD_CHAIN_FILE):
        if box.has(name):
            box.delete(name)


def _content(chain: bytes, **how: str) -> bytes:
    return json.dumps({"v": 1, "chain": chain.decode("ascii"), **how}, indent=1).encode()
