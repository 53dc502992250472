"""Recordings on their way from the edge to the vault (DESIGN I6).

The ingress reads an upload as a bounded raw body into memory and seals it at once (HPKE, RFC 9180) to a key that
the gate made for this enrolment. What crosses a handle, and might be spilled by Ray, is ciphertext. The private
half travels along wrapped by the key-encryption key, so that any gate replica can open what another prepared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from consent_service.errors import VaultError
from consent_service.proofs.protocols import KeyProvider

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True)
class SealedUpload:
    """One recording, encrypted. `wrapped_key` opens only under the gate's key provider."""

    sealed: bytes = field(repr=False)
    wrapped_key: bytes = field(repr=False)


class UploadKeys:
    """Runs in the gate."""

    def __init__(self, keys: KeyProvider) -> None:
        self._keys = keys

    def new(self, enrolment_id: str) -> tuple[bytes, bytes]:
        private = X25519PrivateKey.generate()
        wrapped = self._keys.wrap_key(private.private_bytes_raw(), _info(enrolment_id, "key"))
        return private.public_key().public_bytes_raw(), wrapped

    def open(self, enrolment_id: str, part: str, upload: SealedUpload) -> bytes:
        """Raises VaultError when the upload was sealed for another enrolment or part."""
        private = self._keys.unwrap_key(upload.wrapped_key, _info(enrolment_id, "key"))
        try:
            return _SUITE.decrypt(
                upload.sealed, X25519PrivateKey.from_private_bytes(private), _info(enrolment_id, part)
            )
        except (InvalidTag, ValueError) as exc:
            raise VaultError("the upload was sealed for another enrolment or part") from exc


def seal_upload(
    public_key: bytes, wrapped_key: bytes, enrolment_id: str, part: str, body: bytes
) -> SealedUpload:
    """Runs in the ingress, on the bytes as they came."""
    key = X25519PublicKey.from_public_bytes(public_key)
    return SealedUpload(_SUITE.encrypt(body, key, _info(enrolment_id, part)), wrapped_key)


class ReaderKey:
    """Runs in the ingress, for the other direction: what a reviewer may hear comes sealed to this one request."""

    def __init__(self, voice_id: str, part: str) -> None:
        self._private = X25519PrivateKey.generate()
        self._info = _info(voice_id, f"hear {part}")
        self.public_bytes = self._private.public_key().public_bytes_raw()

    def open(self, sealed: bytes) -> bytes:
        """Raises VaultError when it was sealed to another request."""
        try:
            return _SUITE.decrypt(sealed, self._private, self._info)
        except (InvalidTag, ValueError) as exc:
            raise VaultError("the recording was sealed for another request") from exc


def seal_to_reader(public_key: bytes, voice_id: str, part: str, wav: bytes) -> bytes:
    """Runs in the gate."""
    return _SUITE.encrypt(wav, X25519PublicKey.from_public_bytes(public_key), _info(voice_id, f"hear {part}"))


def _info(enrolment_id: str, part: str) -> bytes:
    return f"vouch upload v1|{enrolment_id}|{part}".encode()
