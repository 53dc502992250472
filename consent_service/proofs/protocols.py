"""The protocols that more than one room needs, fixed early so that each side can be replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from consent_service.proofs.records import ClipRecord, KeyPurpose, Standing, WatermarkTag


@dataclass(frozen=True, slots=True)
class Signer:
    """One signing key, held: whatever is rotated meanwhile, its id, its public half and its signatures match."""

    key_id: str
    public_key: bytes  # Ed25519, 32 raw bytes
    sign: Callable[[bytes], bytes] = field(repr=False)


@runtime_checkable
class ManifestSigner(Protocol):
    """The part of a key provider that a stamper needs. The private key never enters the stamper."""

    def certificate_chain(self) -> bytes:
        """PEM, leaf first, then root."""
        ...

    def sign_manifest(self, message: bytes, chain: bytes | None = None) -> bytes:
        """ES256 over `message`: 64 bytes, r‖s (RFC 7518 §3.4). chain: whose leaf is meant, as it was told; a signer
        that doesn't know it looks for a newer leaf before it signs. Whose the signature is, the caller checks."""
        ...


@runtime_checkable
class KeyProvider(ManifestSigner, Protocol):
    """Wraps data keys and signs. Implementations: key files, AWS KMS."""

    def wrap_key(self, data_key: bytes, aad: bytes) -> bytes:
        """Encrypt a 32-byte data key under the key-encryption key, bound to `aad`."""
        ...

    def unwrap_key(self, wrapped: bytes, aad: bytes) -> bytes:
        """Reverse of `wrap_key`. Raises VaultError when the key, the ciphertext or `aad` is not the one."""
        ...

    def current_key_id(self, purpose: KeyPurpose) -> str:
        """The id under which `sign` signs now (GRANT, LOG or RECEIPT)."""
        ...

    def signer(self, purpose: KeyPurpose) -> Signer:
        """The current key of GRANT, LOG or RECEIPT, for what names the key that signs it."""
        ...

    def sign(self, purpose: KeyPurpose, message: bytes) -> tuple[str, bytes]:
        """Ed25519 signature with the current key of GRANT, LOG or RECEIPT: (key id, 64 bytes)."""
        ...

    def public_keys(self, purpose: KeyPurpose) -> dict[str, bytes]:
        """All keys of a purpose that still verify: key id → 32 raw bytes (Ed25519)."""
        ...

    def trust_anchor(self) -> bytes:
        """The C2PA root certificate, PEM."""
        ...

    def watermark_key(self, epoch: int) -> bytes:
        """The 32-byte key of the keyed watermark in `epoch` (≥ 1); closed epochs keep theirs, for detection."""
        ...


class ClipRegister(Protocol):
    """Which clip, which consent, which objects. Both doors write it; deletion reads it."""

    def register_clip(self, record: ClipRecord) -> None:
        """Insert, or add digests and objects to, the record of one clip."""
        ...

    def find_clip(self, tenant: str, clip_id: str) -> ClipRecord | None: ...


class ProofReader(Protocol):
    """What a verifier may ask of the ledger about a clip it has identified."""

    def standing(
        self, clip_id: str, consent_id: str | None, consent_version: int | None
    ) -> tuple[Standing, float]:
        """(standing, as of which Unix time). UNKNOWN for a clip that the register does not know."""
        ...

    def knows_clip(self, clip_id: str, audio_sha256: str) -> bool | None:
        """True: registered with this digest. False: registered with another. None: not registered."""
        ...

    def logged_at(self, clip_id: str, audio_sha256: str) -> float | None:
        """When the log recorded that the file with this digest was handed over: it was signed by then. Unix seconds;
        None without such an entry."""
        ...

    def marked_clip(self, mark: WatermarkTag) -> ClipRecord | None:
        """The clip that was allotted this tag: a candidate, until its fingerprint matches."""
        ...

    def watermark_keys(self) -> dict[int, bytes]:
        """Every epoch's key, newest first; empty where the keys are not held (no keyed mark is decoded then)."""
        ...
