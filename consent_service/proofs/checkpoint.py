"""Checkpoints of the audit log: C2SP tlog-checkpoint in a C2SP signed note, Ed25519. Pure.

    <origin>
    <size, decimal>
    <root, base64>

    — <origin> <base64(4 bytes of key hash ‖ 64 bytes of signature)>

The reader is strict: a note that is not byte for byte what the writer would have written is refused, so that
no change to it goes unseen.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consent_service.errors import ProofInvalid

_ED25519: Final = b"\x01"  # signature type of the signed-note registry
_PREFIX: Final = "\u2014 "  # em dash, space
MOST_DIGITS: Final = 19  # of a 64-bit count; Python refuses to read far longer ones, with another error


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A claim that the log `origin` had `size` entries under `root` (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def body(self) -> bytes:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n".encode()


@dataclass(frozen=True, slots=True)
class LogKey:
    """The public key of a log, as a C2SP verifier key: `name+hash+base64(type ‖ key)`."""

    origin: str
    public_key: bytes

    @property
    def key_hash(self) -> bytes:
        return hashlib.sha256(self.origin.encode() + b"\n" + _ED25519 + self.public_key).digest()[:4]

    def to_text(self) -> str:
        return f"{self.origin}+{self.key_hash.hex()}+{_b64(_ED25519 + self.public_key)}"

    @classmethod
    def from_text(cls, text: str) -> LogKey:
        """Raises ProofInvalid."""
        origin, _, rest = text.partition("+")
        key = cls(origin, _unb64(rest.partition("+")[2])[1:])
        if len(key.public_key) != 32 or key.to_text() != text:
            raise ProofInvalid("not a verifier key of a log")
        return key


def sign_checkpoint(checkpoint: Checkpoint, public_key: bytes, sign: Callable[[bytes], bytes]) -> str:
    """The signed note; `sign` is Ed25519 under `public_key`."""
    body = checkpoint.body()
    blob = LogKey(checkpoint.origin, public_key).key_hash + sign(body)
    return f"{body.decode()}\n{_PREFIX}{checkpoint.origin} {_b64(blob)}\n"


def read_checkpoint(note: str) -> Checkpoint:
    """Parse without verifying. Raises ProofInvalid."""
    return _parse(note)[0]


def verify_checkpoint(note: str, key: LogKey) -> Checkpoint:
    """Parse and verify. Raises ProofInvalid."""
    checkpoint, blob = _parse(note)
    if checkpoint.origin != key.origin or blob[:4] != key.key_hash:
        raise ProofInvalid("the checkpoint is of another log, or signed by another key")
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(blob[4:], checkpoint.body())
    except (InvalidSignature, ValueError) as exc:
        raise ProofInvalid("the checkpoint's signature does not verify") from exc
    return checkpoint


def _parse(note: str) -> tuple[Checkpoint, bytes]:
    lines = note.split("\n")
    if len(lines) != 6:
        raise ProofInvalid("not a checkpoint: it has three lines, a blank one and one signature")
    origin, size, root, _, signature, _ = lines
    if not (size.isascii() and size.isdigit() and len(size) <= MOST_DIGITS):
        raise ProofInvalid("not a checkpoint: the size is not a number")
    checkpoint = Checkpoint(origin, int(size), _unb64(root))
    blob = _unb64(signature.removeprefix(f"{_PREFIX}{origin} "))
    if len(checkpoint.root) != 32 or len(blob) != 68:
        raise ProofInvalid("not a checkpoint: the root or the signature has the wrong length")
    if f"{checkpoint.body().decode()}\n{_PREFIX}{origin} {_b64(blob)}\n" != note:
        raise ProofInvalid("not a checkpoint in canonical form")
    return checkpoint, blob


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _unb64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ProofInvalid("not base64") from exc
