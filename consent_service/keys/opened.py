"""Rings as they are used: read once, secrets opened, and read again when the file has changed.

A rotation in one process is noticed by the others at the next use (a `stat` of the file), or after the box's
`behind_s` where the files lie in an object store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_service.errors import VaultError
from consent_service.keys.box import KeyBox
from consent_service.keys.ring import SECRET_BYTES, KeyRing, Ring, key_id

T = TypeVar("T")


class Watched(Generic[T]):
    """One file of a box, parsed."""

    def __init__(self, box: KeyBox, name: str, parse: Callable[[bytes], T]) -> None:
        self._box, self._name, self._parse = box, name, parse
        self._held: tuple[object, bytes, T] | None = None
        self._lock = threading.Lock()

    def get(self) -> T:
        """Raises VaultError or KeyFileUnsafe."""
        stamp, held = self._box.stamp(self._name), self._held
        if held is not None and held[0] == stamp:
            return held[2]
        with self._lock:
            raw, held = self._box.read(self._name), self._held
            # Opening sealed secrets costs calls to the KMS: only for content that is new.
            value = held[2] if held is not None and held[1] == raw else self._parse(raw)
            self._held = (stamp, raw, value)
            return value

    def again(self) -> T:
        """Read now, whatever the stamp says: something unknown may have become known."""
        self._held = None
        return self.get()


@dataclass(frozen=True, slots=True)
class Secrets:
    """A ring with its secrets opened."""

    ring: KeyRing
    secrets: dict[str, bytes] = field(repr=False)

    @property
    def current(self) -> bytes:
        return self.secrets[self.ring.current]


@dataclass(frozen=True, slots=True)
class Signers:
    """A ring of Ed25519 keys. `public` has those that verify, `private` those that can still sign."""

    ring: KeyRing
    private: dict[str, Ed25519PrivateKey] = field(repr=False)
    public: dict[str, bytes]


def open_secrets(box: KeyBox, ring: Ring, raw: bytes) -> Secrets:
    parsed, name = KeyRing.from_bytes(raw), ring.file
    opened = {kid: box.open(name, key.secret) for kid, key in parsed.keys.items() if key.secret}
    # A key's id is a digest of its secret: two that changed places are found as a damaged one is.
    if any(len(secret) != SECRET_BYTES or key_id(secret) != kid for kid, secret in opened.items()):
        raise VaultError("a key file is damaged; restore the keys folder from its backup")
    return Secrets(parsed, opened)


def open_signers(box: KeyBox, ring: Ring, raw: bytes) -> Signers:
    opened = open_secrets(box, ring, raw)
    private = {kid: Ed25519PrivateKey.from_private_bytes(raw) for kid, raw in opened.secrets.items()}
    public = {kid: key.public for kid, key in opened.ring.keys.items() if key.public}
    public |= {kid: key.public_key().public_bytes_raw() for kid, key in private.items()}
    if opened.ring.current not in private:
        raise VaultError("a key file lacks its current key; restore the keys folder from its backup")
    return Signers(opened.ring, private, public)
