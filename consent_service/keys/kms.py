"""Keys in AWS KMS: the provider for a cluster.

Voices' data keys are wrapped by KMS itself; the key-encryption key never leaves it, and each unwrapping is in its
trail. Signing secrets lie sealed under a KMS key, in a folder or in S3, and are opened in the memory of the process
that signs: a grant takes a fraction of a millisecond, a call to KMS several, and narrations sign by the thousand
(KMS could sign Ed25519 itself). Manifests are signed in KMS where `kms.manifest` names a P-256 key.

A wrapped key begins with 8 bytes that name the KMS key: a digest of its ARN, which the ring of key-encryption keys
maps back. That ring holds names and no secret.
"""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from consent_service.errors import ObjectMissing, VaultError
from consent_service.keys.certificates import Root
from consent_service.keys.creation import new_files
from consent_service.keys.kms_client import KmsClient
from consent_service.keys.manifest import MANIFEST_FILE, DerSign, issue_remote_leaf
from consent_service.keys.opened import Watched
from consent_service.keys.ring import KeyRing, Ring, RingKey
from consent_service.keys.rings import KID_BYTES, RingProvider
from consent_service.keys.settings import KmsConfig
from consent_service.objects import ObjectStore, open_store

_WHOLE: Final = "complete"  # written last: a set of keys without it was never finished


class SealedBox:
    """A `KeyBox` in a folder or a bucket, its secrets sealed by the KMS, each bound to its file."""

    def __init__(self, store: ObjectStore, kms: KmsClient, key: str, refresh_s: float) -> None:
        self._store, self._kms, self._key, self.behind_s = store, kms, key, refresh_s

    def stamp(self, name: str) -> object:
        return time.monotonic() // self.behind_s if self.behind_s else object()

    def read(self, name: str) -> bytes:
        try:
            return self._store.get(name)
        except ObjectMissing:
            raise VaultError(f"the sealed key file {name} is missing; restore it from its backup") from None

    def write(self, name: str, content: bytes) -> None:
        self._store.put(name, content)

    def has(self, name: str) -> bool:
        return self._store.exists(name)

    def delete(self, name: str) -> None:
        self._store.delete_every_copy(name)

    def seal(self, name: str, secret: bytes) -> bytes:
        return self._kms.encrypt(self._key, secret, _sealed_in(name))

    def open(self, name: str, kept: bytes) -> bytes:
        return self._kms.decrypt(self._key, kept, _sealed_in(name))

    def __repr__(self) -> str:
        return f"SealedBox({self._store!r})"


class KmsKeyProvider(RingProvider):
    """Keys in KMS, and sealed under it."""

    def __init__(self, place: str | Path, config: KmsConfig) -> None:
        """Open an existing set of keys. Raises VaultError when one is missing, KeyServiceUnavailable."""
        self._place, self._config, self._kms = place, config, KmsClient(config)
        store = open_store(place)
        if not store.exists(_WHOLE):
            raise VaultError(
                "there are no sealed keys in keys_url; restore them, or make them in profile local"
            )
        box = SealedBox(store, self._kms, config.seals, config.refresh_s)
        super().__init__(box)
        self._keks: Watched[KeyRing] = Watched(box, Ring.KEK.file, KeyRing.from_bytes)
        self._keks.get()

    @classmethod
    def create(cls, place: str | Path, config: KmsConfig, *, organisation: str) -> KmsKeyProvider:
        """Make every key but the KMS's own, which must be there. One process at a time; a set that was never
        finished is begun again, a finished one never touched."""
        store, kms = open_store(place), KmsClient(config)
        if not store.exists(_WHOLE):
            box, now = SealedBox(store, kms, config.seals, config.refresh_s), datetime.now(UTC)
            root = Root.create(organisation, now)
            files = new_files(box, root, now)
            files[Ring.KEK.file] = KeyRing.of(*_named(kms.arn(config.kek))).to_bytes()
            if config.manifest is not None:
                files[MANIFEST_FILE] = _remote_leaf(kms, root, config.manifest, now)
            for name, content in files.items():
                store.put(name, content)
            store.put(_WHOLE, b"1\n")
        return cls(place, config)

    def wrap_key(self, data_key: bytes, aad: bytes) -> bytes:
        ring = self._keks.get()
        return self._under(ring.current, self._kms.encrypt(_arn(ring, ring.current), data_key, aad))

    def unwrap_key(self, wrapped: bytes, aad: bytes) -> bytes:
        return self._kms.decrypt(self._kek_of(wrapped), wrapped[KID_BYTES:], aad)

    def rewrap_key(self, wrapped: bytes, aad: bytes) -> bytes:
        ring = self._keks.again()
        old, new = self._kek_of(wrapped), _arn(ring, ring.current)
        return self._under(ring.current, self._kms.re_encrypt(wrapped[KID_BYTES:], aad, old=old, new=new))

    def new_key(self, ring: Ring, *, from_epoch: int = 1) -> tuple[str, RingKey]:
        """Of the key-encryption keys: whatever `kms.kek` names now."""
        if ring is Ring.KEK:
            return _named(self._kms.arn(self._config.kek))
        return super().new_key(ring, from_epoch=from_epoch)

    def _new_leaf(self, root: Root, now: datetime) -> bytes:
        if self._config.manifest is None:
            return super()._new_leaf(root, now)
        return _remote_leaf(self._kms, root, self._config.manifest, now)

    def _remote_manifest_key(self, name: str) -> DerSign:
        return lambda message: self._kms.sign_p256(name, message)

    def _kek_of(self, wrapped: bytes) -> str:
        kid = self.wrapped_under(wrapped)
        for ring in (self._keks.get, self._keks.again):
            if kid in (known := ring()).keys:
                return _arn(known, kid)
        raise VaultError("a data key was wrapped under a key that is not here")

    @staticmethod
    def _under(kid: str, ciphertext: bytes) -> bytes:
        return bytes.fromhex(kid) + ciphertext

    def __repr__(self) -> str:
        return f"KmsKeyProvider({str(self._place)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (KmsKeyProvider, (self._place, self._config))


def _named(arn: str) -> tuple[str, RingKey]:
    kid = hashlib.sha256(b"vouch.kms\0" + arn.encode()).hexdigest()[: 2 * KID_BYTES]
    return kid, RingKey(None, arn.encode())


def _arn(ring: KeyRing, kid: str) -> str:
    return (ring.keys[kid].public or b"").decode()


def _remote_leaf(kms: KmsClient, root: Root, name: str, now: datetime) -> bytes:
    arn = kms.arn(name)  # an alias may move on; what this leaf certifies may not
    return issue_remote_leaf(root, arn, kms.p256_public_key(arn), now)


def _sealed_in(name: str) -> bytes:
    return b"vouch.sealed.v1\0" + name.encode()
