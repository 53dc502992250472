"""Keys in files: the embedded key provider, for a laptop or one machine that you trust.

The folder holds a key-encryption key, one Ed25519 ring for each of grants, log and receipts, the watermark's
secrets, and what signs manifests. It is created whole (a half-made folder never carries the name) and only on
first use. A provider crosses a process border as its path alone; the other side must be allowed to read the
files itself.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consent_service.errors import VaultError
from consent_service.keys.box import FolderBox, InTheClear
from consent_service.keys.certificates import Root
from consent_service.keys.creation import new_files
from consent_service.keys.manifest import upgrade
from consent_service.keys.ring import Ring
from consent_service.keys.rings import KID_BYTES, RingProvider

_NONCE_BYTES: Final = 12


class FileKeyProvider(RingProvider):
    """Keys in a folder of files (0600 in 0700)."""

    def __init__(self, folder: Path) -> None:
        """Open an existing folder. Raises VaultError when a file is missing, KeyFileUnsafe when it is
        loose."""
        self._folder = folder
        super().__init__(FolderBox(folder))
        self._kek = self._watch_secrets(Ring.KEK)
        self._kek.get()

    @classmethod
    def create(cls, folder: Path, *, organisation: str) -> FileKeyProvider:
        """Make every key. The caller holds the lock on the data directory; an existing folder is never
        touched."""
        now = datetime.now(UTC)
        FolderBox.create(folder, new_files(InTheClear(), Root.create(organisation, now), now))
        return cls(folder)

    @classmethod
    def upgrade(cls, folder: Path) -> None:
        """Bring a folder of an older form to this one. The caller holds the lock on the data directory."""
        upgrade(FolderBox(folder))

    def wrap_key(self, data_key: bytes, aad: bytes) -> bytes:
        kek = self._kek.get()
        kid, nonce = kek.ring.current, secrets.token_bytes(_NONCE_BYTES)
        return bytes.fromhex(kid) + nonce + AESGCM(kek.current).encrypt(nonce, data_key, _bound(kid, aad))

    def unwrap_key(self, wrapped: bytes, aad: bytes) -> bytes:
        kid, rest = self.wrapped_under(wrapped), wrapped[KID_BYTES:]
        key = self._kek.get().secrets.get(kid) or self._kek.again().secrets.get(kid)
        if key is None:
            raise VaultError("a data key was wrapped under a key that is not here")
        try:
            return AESGCM(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], _bound(kid, aad))
        except (InvalidTag, ValueError) as exc:
            raise VaultError("a wrapped data key is damaged, or is not this object's") from exc

    def __repr__(self) -> str:
        return f"FileKeyProvider({str(self._folder)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (FileKeyProvider, (self._folder,))


def _bound(kid: str, aad: bytes) -> bytes:
    return b"vouch.kek.v1\0" + kid.encode() + b"\0" + aad
