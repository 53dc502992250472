"""What the register says of a clip, and how its consent stands: the values that cross between rooms. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class KeyPurpose(StrEnum):
    """What a signing key is for; one key per purpose, never shared."""

    GRANT = "grant"  # Ed25519
    LOG = "log"  # Ed25519, checkpoints (C2SP signed note)
    RECEIPT = "receipt"  # Ed25519
    MANIFEST = "manifest"  # ECDSA P-256 (ES256), C2PA leaf


class Standing(StrEnum):
    """Whether a clip's consent still stands (DESIGN, verdict)."""

    LIVE = "live"
    EXPIRED = "expired since"
    WITHDRAWN = "withdrawn since"
    DECOMMISSIONED = "decommissioned"
    NOT_REQUIRED = "not required"
    UNKNOWN = "unknown"

    @property
    def may_leave(self) -> bool:
        """Whether a clip with this standing may be handed over, or kept to be."""
        return self in (Standing.LIVE, Standing.NOT_REQUIRED)


@dataclass(frozen=True, slots=True)
class WatermarkTag:
    """What the keyed watermark of one clip carries: allotted in sequence within a key epoch, never random."""

    epoch: int  # ≥ 1
    tag: int  # 24 bits


@dataclass(frozen=True, slots=True)
class ClipRecord:
    """What the register knows of one clip: from which consent it came and where its copies lie."""

    clip_id: str
    tenant: str
    voice_id: str
    basis: str  # grants.Basis value
    consent_id: str | None
    consent_version: int | None
    purpose: str
    grantee: str
    audit_leaf: int  # index of the leaf that was committed before the audio left
    audio_sha256: str  # of the complete stamped file, hex; "" until it is stamped
    seconds: float
    created_at: float  # Unix seconds
    objects: tuple[str, ...] = field(default=())  # URIs of every stored copy
    state: str = "live"  # live | withdrawn | tombstone
    watermark: WatermarkTag | None = None  # allotted when the grant was used up
    fingerprint: bytes = field(default=b"", repr=False)  # provenance.fingerprint, of the clip as it left
