"""The vault: reference recordings and consent statements, encrypted at rest, one data key per voice.

AES-256-GCM (NIST SP 800-38D). The associated data binds format, tenant, voice, object, the digest of the plaintext,
and the origin: the enrolment under which the recording came in (its evidence, which a later consent names), or the
clip that a designed voice was kept from. So no ciphertext can be put in another's place. The data key lies wrapped
in an object of its own, outside the ledger and its backups: destroying that one small object ends the voice.
Plaintext never reaches a disk, and no error here holds any.

Whoever stores or destroys holds the tenant's write lock, or has made sure by the voice's state that nobody else
touches it: the sweep and the rotation of keys rely on that.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consent_service.errors import KeyDestroyed, ObjectMissing, VaultError
from consent_service.objects import Destroyed, ObjectStore, everything_under
from consent_service.proofs.protocols import KeyProvider

VaultObject: TypeAlias = (
    str  # "reference", "statement", or "statement.<id>" of a further one: never a caller's word
)

CLIPS: Final = "clips"  # stands where a voice's id does, and is none

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_MAGIC: Final = b"vouch\x02"
_WRAPPED: Final = ".wrapped"
_SEALED: Final = ".sealed"


@dataclass(frozen=True, slots=True)
class _Held:
    """A key in memory that no repr shows."""

    key: bytes = field(repr=False)


class Vault:
    """Sealed objects of voices. Tenant and voice ids are path-safe by construction (see `ids`)."""

    def __init__(self, objects: ObjectStore, wrapped_keys: ObjectStore, keys: KeyProvider) -> None:
        self._objects, self._wrapped, self._keys = objects, wrapped_keys, keys
        self._clips_keys: dict[str, _Held] = {}

    def create_key(self, tenant: str, voice_id: str) -> None:
        """Make the data key of a voice. A second one for the same voice replaces it: only before first
        use."""
        data_key = secrets.token_bytes(_KEY_BYTES)
        self.write_wrapped_key(tenant, voice_id, self._keys.wrap_key(data_key, key_aad(tenant, voice_id)))

    def store(
        self, tenant: str, voice_id: str, kind: VaultObject, plaintext: bytes, *, origin: str = ""
    ) -> str:
        """Seal and write durably; returns the SHA-256 of the plaintext, in hex. `origin`: an id, at most 200
        characters."""
        digest = hashlib.sha256(plaintext).hexdigest()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = AESGCM(self._data_key(tenant, voice_id))
        sealed = cipher.encrypt(nonce, plaintext, _aad("v2", kind, tenant, voice_id, digest, origin))
        head = _MAGIC + bytes([len(origin.encode())]) + origin.encode()
        self._objects.put(_object(tenant, voice_id, kind), head + nonce + sealed)
        return digest

    def open(self, tenant: str, voice_id: str, kind: VaultObject, digest: str) -> bytes:
        """The plaintext, in memory. Raises KeyDestroyed, VaultError, StorageUnavailable."""
        data_key = self._data_key(tenant, voice_id)
        try:
            raw = self._objects.get(_object(tenant, voice_id, kind))
        except ObjectMissing:
            raise VaultError("a sealed recording is missing from the vault") from None
        try:
            if raw.startswith(_MAGIC):
                origin, sealed = _split(raw)
                aad = _aad("v2", kind, tenant, voice_id, digest, origin)
            else:  # the first form, without an origin
                sealed, aad = raw, _aad(kind, tenant, voice_id, digest)
            return AESGCM(data_key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], aad)
        except (InvalidTag, ValueError) as exc:
            raise VaultError("a sealed recording is damaged, or is not the one the ledger names") from exc

    def key_digest(self, tenant: str, voice_id: str) -> str | None:
        """SHA-256 of the wrapped key, in hex, for whoever must say later which one was destroyed; None without
        one."""
        try:
            return hashlib.sha256(self.wrapped_key(tenant, voice_id)).hexdigest()
        except KeyDestroyed:
            return None

    def destroy(self, tenant: str, voice_id: str) -> tuple[Destroyed, ...]:
        """Destroy every copy of the key, then of the ciphertext, durably. Idempotent. Returns what there was."""
        key = self._wrapped.delete_every_copy(_key(tenant, voice_id), wipe=True)
        return (*key, *self._objects.delete_everything(f"{tenant}/{voice_id}"))

    def create_clips_key(self, tenant: str) -> None:
        """Make the key under which the keys of a tenant's stored clips are wrapped. Once."""
        self.create_key(tenant, CLIPS)

    def clips_key(self, tenant: str) -> bytes | None:
        """None where it was never made. Opened once, then held in memory."""
        if tenant not in self._clips_keys:
            try:
                self._clips_keys[tenant] = _Held(self._data_key(tenant, CLIPS))
            except KeyDestroyed:
                return None
        return self._clips_keys[tenant].key

    # for the sweep and the rotation of keys -------------------------------------------------------------------
    def voices(self) -> list[tuple[str, str]]:
        """(tenant, voice id) of everything that is stored, whether or not a row names it."""
        # Writes that were cut short (".voice_1.wrapped.x7.new") and deleted versions count, too.
        keys = [(parts[0], parts[1].lstrip(".").partition(_WRAPPED)[0]) for parts in _paths(self._wrapped, 2)]
        return sorted({*keys, *((parts[0], parts[1]) for parts in _paths(self._objects, 3))})

    def objects(self, tenant: str) -> list[tuple[str, VaultObject]]:
        """(voice id, object) of every sealed object of a tenant."""
        names = (name.removesuffix(_SEALED).split("/") for name in self._objects.names(tenant))
        return [(each[1], each[2]) for each in names if len(each) == 3]

    def destroy_object(self, tenant: str, voice_id: str, kind: VaultObject) -> tuple[Destroyed, ...]:
        """Every copy of one sealed object. Idempotent."""
        return self._objects.delete_every_copy(_object(tenant, voice_id, kind))

    def wrapped_key(self, tenant: str, voice_id: str) -> bytes:
        """Raises KeyDestroyed."""
        try:
            return self._wrapped.get(_key(tenant, voice_id))
        except ObjectMissing:
            raise KeyDestroyed("the voice's data key no longer exists") from None

    def write_wrapped_key(self, tenant: str, voice_id: str, wrapped: bytes) -> None:
        """In place of what was there, of which no version stays: it may be wrapped under a key that leaked."""
        self._wrapped.put(_key(tenant, voice_id), wrapped)
        self._wrapped.forget_older(_key(tenant, voice_id))

    def _data_key(self, tenant: str, voice_id: str) -> bytes:
        return self._keys.unwrap_key(self.wrapped_key(tenant, voice_id), key_aad(tenant, voice_id))


def key_aad(tenant: str, voice_id: str) -> bytes:
    """What a voice's wrapped data key is bound to."""
    return _aad("key", tenant, voice_id)


def _key(tenant: str, voice_id: str) -> str:
    return f"{tenant}/{voice_id}{_WRAPPED}"


def _object(tenant: str, voice_id: str, kind: VaultObject) -> str:
    return f"{tenant}/{voice_id}/{kind}{_SEALED}"


def _paths(store: ObjectStore, length: int) -> list[list[str]]:
    """The parts of the names of all that lies in a store, hidden or not."""
    base = store.base_uri
    paths = (uri.removeprefix(base).split("/") for uri in everything_under(store.url))
    return [parts for parts in paths if len(parts) == length]


def _split(raw: bytes) -> tuple[str, bytes]:
    """Origin and sealed rest. Raises ValueError."""
    begin = len(_MAGIC) + 1
    if len(raw) < begin:
        raise ValueError("a sealed object ends before its origin")
    end = begin + raw[begin - 1]
    return raw[begin:end].decode(), raw[end:]


def _aad(*parts: str) -> bytes:
    """Length-prefixed, so that no two lists of parts give the same bytes."""
    encoded = (part.encode() for part in ("vouch.vault.v1", *parts))
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
