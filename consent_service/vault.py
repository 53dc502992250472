"""The vault: reference recordings and consent statements, encrypted at rest, one data key per voice.

AES-256-GCM; the associated data binds format, tenant, voice, object and digest, so that no ciphertext can be
put in another's place. The data key lies wrapped in a file of its own, outside the ledger and its backups:
destroying that one small file ends the voice. Plaintext never reaches a disk, and no error here holds any.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from pathlib import Path
from typing import Final, Literal, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consent_service.errors import KeyDestroyed, VaultError
from consent_service.keys.files import make_private_folder, sync_folder, write_private
from consent_service.objects import Destroyed, delete_every_copy, everything_under
from consent_service.proofs.seams import KeyProvider

VaultObject: TypeAlias = Literal["reference", "statement"]

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class Vault:
    """Sealed objects of voices. Tenant and voice ids are path-safe by construction (see `ids`)."""

    def __init__(self, data_dir: Path, keys: KeyProvider) -> None:
        self._objects, self._wrapped, self._keys = data_dir / "vault", data_dir / "wrapped-keys", keys
        make_private_folder(self._objects)
        make_private_folder(self._wrapped)

    def create_key(self, tenant: str, voice_id: str) -> None:
        """Make the data key of a voice. A second one for the same voice replaces it: only before first
        use."""
        path = self._key_path(tenant, voice_id)
        make_private_folder(path.parent)
        data_key = secrets.token_bytes(_KEY_BYTES)
        write_private(path, self._keys.wrap_key(data_key, _aad("key", tenant, voice_id)))

    def store(self, tenant: str, voice_id: str, kind: VaultObject, plaintext: bytes) -> str:
        """Seal and write durably; returns the SHA-256 of the plaintext, in hex."""
        digest = hashlib.sha256(plaintext).hexdigest()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = AESGCM(self._data_key(tenant, voice_id))
        sealed = cipher.encrypt(nonce, plaintext, _aad(kind, tenant, voice_id, digest))
        path = self._object_path(tenant, voice_id, kind)
        make_private_folder(path.parent)
        write_private(path, nonce + sealed)
        return digest

    def open(self, tenant: str, voice_id: str, kind: VaultObject, digest: str) -> bytes:
        """The plaintext, in memory. Raises KeyDestroyed, VaultError, or OSError when the disk fails."""
        data_key = self._data_key(tenant, voice_id)
        try:
            raw = self._object_path(tenant, voice_id, kind).read_bytes()
        except FileNotFoundError as exc:
            raise VaultError("a sealed recording is missing from the vault") from exc
        try:
            return AESGCM(data_key).decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _aad(kind, tenant, voice_id, digest)
            )
        except (InvalidTag, ValueError) as exc:
            raise VaultError("a sealed recording is damaged, or is not the one the ledger names") from exc

    def key_digest(self, tenant: str, voice_id: str) -> str | None:
        """SHA-256 of the wrapped key, in hex, for whoever must say later which one was destroyed; None without one."""
        try:
            return hashlib.sha256(self._key_path(tenant, voice_id).read_bytes()).hexdigest()
        except FileNotFoundError:
            return None

    def destroy(self, tenant: str, voice_id: str) -> tuple[Destroyed, ...]:
        """Destroy every copy of the key, then of the ciphertext, durably. Idempotent. Returns what there was."""
        key = delete_every_copy(self._key_path(tenant, voice_id).as_uri())
        folder = self._objects / tenant / voice_id
        sealed = [copy for uri in everything_under(str(folder)) for copy in delete_every_copy(uri)]
        if folder.exists():
            shutil.rmtree(folder)
            sync_folder(folder.parent)
        return (*key, *sealed)

    def _data_key(self, tenant: str, voice_id: str) -> bytes:
        try:
            wrapped = self._key_path(tenant, voice_id).read_bytes()
        except FileNotFoundError as exc:
            raise KeyDestroyed("the voice's data key no longer exists") from exc
        return self._keys.unwrap_key(wrapped, _aad("key", tenant, voice_id))

    def _key_path(self, tenant: str, voice_id: str) -> Path:
        return self._wrapped / tenant / f"{voice_id}.wrapped"

    def _object_path(self, tenant: str, voice_id: str, kind: VaultObject) -> Path:
        return self._objects / tenant / voice_id / f"{kind}.sealed"


def _aad(*parts: str) -> bytes:
    """Length-prefixed, so that no two lists of parts give the same bytes."""
    encoded = (part.encode() for part in ("vouch.vault.v1", *parts))
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
