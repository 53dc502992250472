"""The consent gate as the other deployments see it: every method that may be called on it, and no other.

Stubs, the callee's allow-list and the time limits are derived from here (`serve_app.handles`). `ConsentGate` implements
it. All raise RequestRefused; the codes that are named here are the ones a caller tells apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from consent_service.models import Allow, Closing, Deny, Redeemed, Revocation, SpeechClaim
from consent_service.proofs.records import ClipRecord, Standing, WatermarkTag


@dataclass(frozen=True, slots=True)
class Feed:
    """A piece of the revocation feed: what is new, and where to go on from."""

    events: tuple[Revocation, ...]
    cursor: int


class Gate(Protocol):
    """Decides, redeems, registers."""

    # decision ---------------------------------------------------------------------------------------------------------
    async def authorize(self, api_key: str, claim: SpeechClaim) -> Allow | Deny:
        """May this key have this said? Refuses unauthenticated."""
        ...

    async def redeem(self, token: str, replica_id: str) -> Redeemed:
        """Use a grant up; its audit entry is open from then on."""
        ...

    async def redeem_cached(self, token: str, cached_clip_id: str) -> Redeemed:
        """The same for a clip that is kept already: no reference is handed out."""
        ...

    async def register_replica(self, replica_id: str, public_key: bytes, proof: bytes) -> dict[str, bytes]:
        """Make an X25519 key known, with the proof that it is one of ours: the keys under which grants are signed."""
        ...

    async def close_clip(self, grant_id: str, closing: Closing) -> int:
        """The second audit entry; the first closing stands. Refuses grant_unknown when nothing is open."""
        ...

    async def hand_over(
        self, grant_id: str, record: ClipRecord, *, replica_id: str, proof: bytes
    ) -> ClipRecord:
        """The last step before audio leaves: the replica that redeemed the grant answers for the stamped clip; it is
        registered, its consent looked at once more, and the audit closed. Refuses grant_mismatch for any other
        replica, and consent_revoked when the consent does not stand any more."""
        ...

    async def end_stream(
        self, grant_id: str, record: ClipRecord, closing: Closing, *, replica_id: str, proof: bytes
    ) -> ClipRecord:
        """Register and close what has been heard already. Whether the consent still stands decides nothing here: the
        record must exist either way, so that what is in the world can be recognised."""
        ...

    async def revocations(self, after: int, wait_s: float) -> Feed:
        """What was revoked since `after`; waits up to `wait_s` seconds for something to come."""
        ...

    # clips ------------------------------------------------------------------------------------------------------------
    async def register_store(self, uri: str) -> None:
        """Where a door keeps clips of every tenant: deletion looks there."""
        ...

    async def new_clip_key(self, tenant: str, clip_id: str) -> tuple[bytes, bytes]:
        """(data key, wrapped data key) for storing one stamped clip."""
        ...

    async def clip_key(self, tenant: str, clip_id: str, wrapped: bytes) -> bytes:
        """The data key. Refuses vault_error when it was wrapped for another tenant or clip."""
        ...

    async def clip_for(self, api_key: str, clip_id: str) -> tuple[ClipRecord, Standing]:
        """The record of a clip of the caller's tenant, and whether its consent stands."""
        ...

    async def release_clip(self, api_key: str, clip_id: str, audio_sha256: str = "") -> ClipRecord:
        """Whether a stored clip may go out once more, audited (I3), with the digest of a file that is not the
        registered one. Refuses consent_revoked."""
        ...

    async def add_copy(self, record: ClipRecord, uri: str) -> None:
        """Where one more copy of a clip lies, in another form. Refuses consent_revoked after a decommissioning."""
        ...

    # what a verifier asks ---------------------------------------------------------------------------------------------
    async def standing(
        self, clip_id: str, consent_id: str | None, consent_version: int | None
    ) -> tuple[Standing, float]:
        """As `ProofReader.standing`; so the next three."""
        ...

    async def knows_clip(self, clip_id: str, audio_sha256: str) -> bool | None: ...

    async def logged_at(self, clip_id: str, audio_sha256: str) -> float | None: ...

    async def marked_clip(self, mark: WatermarkTag) -> ClipRecord | None: ...

    async def watermark_key(self, replica_id: str, epoch: int) -> bytes:
        """Sealed to a registered replica or verifier."""
        ...

    async def watermark_keys(self, replica_id: str) -> dict[int, bytes]:
        """Every epoch's key, each sealed to a registered verifier."""
        ...

    # manifests --------------------------------------------------------------------------------------------------------
    async def certificate_chain(self) -> bytes:
        """As `ManifestSigner.certificate_chain`."""
        ...

    async def sign_manifest(self, message: bytes, chain: bytes | None = None) -> bytes:
        """The private key stays with the gate: a stamper sends only the bytes to be signed, and the chain that it was
        told."""
        ...

    async def trust_anchor(self) -> bytes:
        """Our C2PA root certificate, PEM."""
        ...
