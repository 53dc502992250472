"""Reference recordings on their way to a replica: sealed to a key that lives in that replica alone.

HPKE (RFC 9180: X25519, HKDF-SHA256, AES-256-GCM), bound to the grant and the replica. A replica makes its key
at start, keeps it in memory, and proves with the node secret that it is one of ours. Whatever carries the
sealed recording between processes (a handle, an object store, a log) learns nothing of it.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from consent_service.errors import VaultError
from consent_service.models import Redeemed
from foundation.private_files import read_private, require_private_folder

NODE_FOLDER: Final = "node"
NODE_SECRET: Final = "node.secret"  # noqa: S105 - the name of a file
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_LENGTH_BYTES: Final = 4


class ReplicaKey:
    """A fresh X25519 key of one replica. It can't be copied out of its process."""

    def __init__(self, replica_id: str) -> None:
        self.replica_id = replica_id
        self._private = X25519PrivateKey.generate()
        self.public_bytes = self._private.public_key().public_bytes_raw()

    def proof(self, node_secret: bytes) -> bytes:
        """What `gate.register_replica` asks for."""
        return node_proof(node_secret, self.replica_id, self.public_bytes)

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """Raises VaultError when it was sealed to another key or for another grant."""
        try:
            return _SUITE.decrypt(sealed, self._private, info)
        except (InvalidTag, ValueError) as exc:
            raise VaultError("the sealed recording is not for this replica and grant") from exc

    def __repr__(self) -> str:
        return f"ReplicaKey({self.replica_id!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a replica's key stays in its process: make one there")


def seal(public_key: bytes, plaintext: bytes, info: bytes) -> bytes:
    """Encrypt to an X25519 public key of 32 raw bytes."""
    return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public_key), info)


def reference_info(grant_id: str, replica_id: str) -> bytes:
    """What binds a sealed recording to its one use."""
    return b"vouch.reference.v1\0" + grant_id.encode() + b"\0" + replica_id.encode()


def watermark_info(epoch: int, replica_id: str) -> bytes:
    """What binds a sealed watermark key to its epoch and its reader."""
    return b"vouch.watermark-key.v1\0%d\0" % epoch + replica_id.encode()


def pack_reference(wav: bytes, transcript: str) -> bytes:
    """Transcript length (4 bytes, big-endian), transcript (UTF-8), WAV."""
    text = transcript.encode()
    return len(text).to_bytes(_LENGTH_BYTES, "big") + text + wav


def unpack_reference(packed: bytes) -> tuple[bytes, str]:
    end = _LENGTH_BYTES + int.from_bytes(packed[:_LENGTH_BYTES], "big")
    return packed[end:], packed[_LENGTH_BYTES:end].decode()


def open_reference(key: ReplicaKey, redeemed: Redeemed) -> tuple[bytes, str]:
    """The reference as a WAV file in memory and its transcript. Raises VaultError."""
    if redeemed.sealed_reference is None:
        raise VaultError("this grant came without a reference recording")
    info = reference_info(redeemed.grant.grant_id, key.replica_id)
    return unpack_reference(key.open(redeemed.sealed_reference, info))


def node_proof(node_secret: bytes, replica_id: str, public_key: bytes) -> bytes:
    """HMAC-SHA256 that a replica's key belongs to a node which holds the secret."""
    message = b"vouch.replica.v1\0" + replica_id.encode() + b"\0" + public_key
    return hmac.digest(node_secret, message, hashlib.sha256)


def spoken_proof(node_secret: bytes, replica_id: str, grant_id: str) -> bytes:
    """HMAC-SHA256 with which a replica answers for the clip that came of a grant it redeemed."""
    message = b"vouch.spoken.v1\0" + replica_id.encode() + b"\0" + grant_id.encode()
    return hmac.digest(node_secret, message, hashlib.sha256)


def load_node_secret(data_dir: Path) -> bytes:
    """The secret that tells our replicas from others. Raises VaultError or KeyFileUnsafe."""
    folder = data_dir / NODE_FOLDER
    try:
        require_private_folder(folder)
        return read_private(folder / NODE_SECRET)
    except OSError as exc:
        raise VaultError("the node secret is missing; open the ledger on this machine first") from exc
