"""Keys in files: the embedded key provider, for a laptop or one machine that you trust.

The folder holds a key-encryption key, one Ed25519 ring for each of grants, log and receipts, and the two keys
of the manifest certificates. It is created whole (a half-made folder never carries the name) and only on
first use. A provider crosses a process border as its path alone; the other side must be allowed to read the
files itself.
"""

from __future__ import annotations

import hmac
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consent_service.errors import VaultError
from consent_service.keys.certificates import create_manifest_identity
from consent_service.keys.files import read_private, require_private_folder, sync_folder, write_private
from consent_service.keys.ring import KeyRing, new_signing_secret
from consent_service.proofs.seams import KeyPurpose

_SIGNING: Final = (KeyPurpose.GRANT, KeyPurpose.LOG, KeyPurpose.RECEIPT)
_KEK: Final = "kek.json"
_WATERMARK: Final = "watermark.json"
_LEAF_KEY: Final = "manifest-leaf.pem"
_ROOT_KEY: Final = "manifest-root.pem"
_CHAIN: Final = "manifest-chain.pem"
_NONCE_BYTES: Final = 12


class FileKeyProvider:
    """A `KeyProvider` over a folder of key files (0600 in 0700). Thread-safe: it never changes once open."""

    def __init__(self, folder: Path) -> None:
        """Open an existing folder. Raises VaultError when a file is missing, KeyFileUnsafe when it is
        loose."""
        require_private_folder(folder)
        self._folder = folder
        self._kek = KeyRing.from_bytes(_read(folder / _KEK))
        self._watermark = KeyRing.from_bytes(_read(folder / _WATERMARK))
        self._rings = {purpose: KeyRing.from_bytes(_read(folder / _ring(purpose))) for purpose in _SIGNING}
        self._signers = {
            purpose: {kid: Ed25519PrivateKey.from_private_bytes(raw) for kid, raw in ring.keys.items()}
            for purpose, ring in self._rings.items()
        }
        leaf = serialization.load_pem_private_key(_read(folder / _LEAF_KEY), password=None)
        if not isinstance(leaf, ec.EllipticCurvePrivateKey):
            raise VaultError("the manifest key is not a P-256 key")
        self._leaf, self._chain = leaf, _read(folder / _CHAIN)

    @classmethod
    def create(cls, folder: Path, *, organisation: str) -> FileKeyProvider:
        """Make every key. The caller holds the lock on the data directory; an existing folder is never
        touched."""
        parts = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".keys-"))  # mkdtemp creates with mode 0700
        try:
            write_private(parts / _KEK, KeyRing.of(secrets.token_bytes(32)).to_bytes())
            write_private(parts / _WATERMARK, KeyRing.of(secrets.token_bytes(32)).to_bytes())
            for purpose in _SIGNING:
                write_private(parts / _ring(purpose), KeyRing.of(new_signing_secret()).to_bytes())
            identity = create_manifest_identity(organisation)
            write_private(parts / _LEAF_KEY, identity.leaf_key)
            write_private(parts / _ROOT_KEY, identity.root_key)
            write_private(parts / _CHAIN, identity.chain)
            os.rename(parts, folder)  # noqa: PTH104 - unlike Path.replace it says what is meant: never over another
        except BaseException:
            shutil.rmtree(parts, ignore_errors=True)
            raise
        sync_folder(folder.parent)
        return cls(folder)

    def wrap_key(self, data_key: bytes, aad: bytes) -> bytes:
        kid, nonce = self._kek.current, secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._kek.secret).encrypt(nonce, data_key, _bound(kid, aad))
        return bytes.fromhex(kid) + nonce + sealed

    def unwrap_key(self, wrapped: bytes, aad: bytes) -> bytes:
        kid, nonce, sealed = wrapped[:8].hex(), wrapped[8:20], wrapped[20:]
        key = self._kek.keys.get(kid)
        if key is None:
            raise VaultError("a data key was wrapped under a key that is not here")
        try:
            return AESGCM(key).decrypt(nonce, sealed, _bound(kid, aad))
        except (InvalidTag, ValueError) as exc:
            raise VaultError("a wrapped data key is damaged, or is not this object's") from exc

    def current_key_id(self, purpose: KeyPurpose) -> str:
        return self._rings[purpose].current

    def sign(self, purpose: KeyPurpose, message: bytes) -> tuple[str, bytes]:
        kid = self._rings[purpose].current
        return kid, self._signers[purpose][kid].sign(message)

    def public_keys(self, purpose: KeyPurpose) -> dict[str, bytes]:
        return {kid: key.public_key().public_bytes_raw() for kid, key in self._signers[purpose].items()}

    def certificate_chain(self) -> bytes:
        return self._chain

    def sign_manifest(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self._leaf.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def trust_anchor(self) -> bytes:
        root = x509.load_pem_x509_certificates(self._chain)[-1]
        return root.public_bytes(serialization.Encoding.PEM)

    def watermark_key(self, epoch: int) -> bytes:
        # One secret gives every epoch its key, so that a closed epoch's is never lost.
        return hmac.digest(self._watermark.secret, b"vouch.watermark.v1\0%d" % epoch, "sha256")

    def __repr__(self) -> str:
        return f"FileKeyProvider({str(self._folder)!r})"

    def __reduce__(self) -> tuple[type[FileKeyProvider], tuple[Path]]:
        return (FileKeyProvider, (self._folder,))


def _ring(purpose: KeyPurpose) -> str:
    return f"{purpose.value}.json"


def _read(path: Path) -> bytes:
    try:
        return read_private(path)
    except FileNotFoundError as exc:
        raise VaultError(
            f"the key file {path.name} is missing; restore the keys folder from its backup"
        ) from exc


def _bound(kid: str, aad: bytes) -> bytes:
    return b"vouch.kek.v1\0" + kid.encode() + b"\0" + aad
