"""A key ring: the keys of one purpose in one file, one of them current, the older ones kept as far as they are
still needed.

A ring is a value: every change gives a new one, written in one piece. A superseded key keeps its secret where
something may still be wrapped under it, and only its public half where all that is left to do is to verify.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from consent_service.errors import VaultError

SECRET_BYTES: Final = 32


class Ring(StrEnum):
    """The rings, by the names of their files."""

    GRANT = "grant"  # Ed25519, as the next two
    LOG = "log"
    RECEIPT = "receipt"
    KEK = "kek"  # wraps data keys
    WATERMARK = (
        "watermark"  # every epoch's key is derived from the newest secret that begins with it or before
    )

    @property
    def file(self) -> str:
        return f"{self.value}.json"


SIGNING: Final = (Ring.GRANT, Ring.LOG, Ring.RECEIPT)


@dataclass(frozen=True, slots=True)
class RingKey:
    """One key as it is stored: the secret plain in a private file, or sealed by a KMS; None once it is gone, or
    where it never leaves the KMS."""

    secret: bytes | None = field(repr=False)
    public: bytes | None = None  # Ed25519: 32 raw bytes; a key that stays in a KMS: its name there
    superseded_at: float | None = None  # Unix seconds
    from_epoch: int = 1  # of the watermark

    def without_secret(self) -> RingKey:
        return replace(self, secret=None)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Key id → key. `coming` is published but not used yet; `unfinished` says that what follows the
    promotion is still to be done: data keys wrapped anew, or the old key closed off in the logs."""

    current: str
    keys: dict[str, RingKey]
    coming: str | None = None
    unfinished: bool = False

    def publish(self, kid: str, key: RingKey) -> KeyRing:
        """Let everybody learn of the next key before it is used."""
        return replace(self, keys={**self.keys, kid: key}, coming=kid)

    def promote(self, now: float, *, keep_secret: bool, unfinished: bool = False) -> KeyRing:
        """Make the coming key the current one."""
        if self.coming is None:
            return self
        old = replace(self.keys[self.current], superseded_at=now)
        keys = {**self.keys, self.current: old if keep_secret else old.without_secret()}
        return KeyRing(self.coming, keys, unfinished=unfinished)

    def without(self, kid: str) -> KeyRing:
        return replace(self, keys={each: key for each, key in self.keys.items() if each != kid})

    def finished(self) -> KeyRing:
        return replace(self, unfinished=False)

    @property
    def superseded(self) -> dict[str, RingKey]:
        return {kid: key for kid, key in self.keys.items() if kid not in (self.current, self.coming)}

    def to_bytes(self) -> bytes:
        keys = {
            kid: {
                "secret": _b64(key.secret),
                "public": _b64(key.public),
                "superseded_at": key.superseded_at,
                "from_epoch": key.from_epoch,
            }
            for kid, key in self.keys.items()
        }
        document = {"v": 2, "current": self.current, "coming": self.coming, "unfinished": self.unfinished}
        return json.dumps({**document, "keys": keys}, indent=1).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> KeyRing:
        """Raises VaultError, without a word of the content."""
        try:
            document: dict[str, Any] = json.loads(raw)
            keys = {str(kid): _key(entry) for kid, entry in document["keys"].items()}
            ring = cls(
                document["current"], keys, document.get("coming"), bool(document.get("unfinished", False))
            )
            used = [ring.keys[kid] for kid in (ring.current, ring.coming) if kid is not None]
            usable = all(key.secret or key.public for key in used)
        except (ValueError, KeyError, TypeError, AttributeError):
            usable = False
        if not usable:
            raise VaultError("a key file is damaged; restore the keys folder from its backup")
        return ring

    @classmethod
    def of(cls, kid: str, key: RingKey) -> KeyRing:
        return cls(kid, {kid: key})


def key_id(secret: bytes) -> str:
    """A key is named by a digest of its secret, so that the name says nothing of it."""
    return hashlib.sha256(b"vouch.kid\0" + secret).hexdigest()[:16]


def _key(entry: Any) -> RingKey:
    if isinstance(entry, str):  # the first form of the file: a secret and nothing else
        return RingKey(_unb64(entry))
    at = entry["superseded_at"]
    return RingKey(
        _unb64(entry["secret"]),
        _unb64(entry["public"]),
        None if at is None else float(at),
        int(entry["from_epoch"]),
    )


def _b64(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode("ascii")


def _unb64(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)
