"""A key ring: the keys of one purpose in one file, one of them current, the older ones kept to verify or
unwrap."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_service.errors import VaultError


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Key id → 32 secret bytes."""

    current: str
    keys: dict[str, bytes] = field(repr=False)

    @property
    def secret(self) -> bytes:
        return self.keys[self.current]

    def to_bytes(self) -> bytes:
        keys = {kid: base64.b64encode(raw).decode("ascii") for kid, raw in self.keys.items()}
        return json.dumps({"v": 1, "current": self.current, "keys": keys}, indent=1).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> KeyRing:
        """Raises VaultError, without a word of the content."""
        try:
            document: dict[str, Any] = json.loads(raw)
            keys = {kid: base64.b64decode(key, validate=True) for kid, key in document["keys"].items()}
            ring = cls(document["current"], keys)
            usable = ring.current in keys and all(len(key) == 32 for key in keys.values())
        except (ValueError, KeyError, TypeError, AttributeError):
            usable = False
        if not usable:
            raise VaultError("a key file is damaged; restore the keys folder from its backup")
        return ring

    @classmethod
    def of(cls, secret: bytes) -> KeyRing:
        """A ring of one key, named by its digest so that the name says nothing of it."""
        kid = hashlib.sha256(b"vouch.kid\0" + secret).hexdigest()[:16]
        return cls(kid, {kid: secret})


def new_signing_secret() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes_raw()
