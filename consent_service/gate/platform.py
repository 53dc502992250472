"""What the deployments of a platform do around a clip, each with an API key of its own: gate, replica, stamper.

Inside our own processes they need none: whoever opens the ledger holds its keys, and a signed grant or the node
secret speaks for each call. A platform that reaches this service over a network gets the same calls with a second
lock before them: a role that may make this call and no other, and one tenant, whose grants and clips alone are there.
"""

from __future__ import annotations

from sqlalchemy import select

from consent_service.access import Permission
from consent_service.clips.service import Clips
from consent_service.core import Core
from consent_service.errors import GrantMismatch, NotFound
from consent_service.gate.service import Gate
from consent_service.grants import GrantVerifier
from consent_service.ledger.rows import find_row, from_row
from consent_service.ledger.tables import redemptions, revocations
from consent_service.models import Closing, Principal, Redeemed, Revocation
from consent_service.proofs.records import ClipRecord, KeyPurpose, Standing

MOST_REVOCATIONS = 1000


class PlatformApi:
    """The calls that a door makes on its way to a clip, checked once more."""

    def __init__(self, core: Core, gate: Gate, clips: Clips) -> None:
        self._core, self._gate, self._clips = core, gate, clips

    def register_replica(
        self, by: Principal, replica_id: str, public_key: bytes, proof: bytes
    ) -> dict[str, bytes]:
        """Needs REPLICA, and the node secret behind `proof`."""
        self._require(by, Permission.REPLICA_REGISTER)
        return self._gate.register_replica(replica_id, public_key, proof)

    def watermark_key(self, by: Principal, replica_id: str, epoch: int) -> bytes:
        """Sealed to the replica. Needs REPLICA."""
        self._require(by, Permission.REPLICA_REGISTER)
        return self._gate.watermark_key(replica_id, epoch)

    def redeem(self, by: Principal, token: str, replica_id: str) -> Redeemed:
        """Needs GATE or REPLICA. Raises GrantMismatch for another tenant's grant."""
        self._require_own_grant(by, token)
        return self._gate.redeem(token, replica_id)

    def redeem_cached(self, by: Principal, token: str, cached_clip_id: str) -> Redeemed:
        """Needs GATE or REPLICA. Raises GrantMismatch for another tenant's grant."""
        self._require_own_grant(by, token)
        return self._gate.redeem_cached(token, cached_clip_id)

    def close_clip(self, by: Principal, grant_id: str, closing: Closing) -> int:
        """Needs GATE or STAMPER. Raises NotFound for another tenant's grant."""
        self._require_redeemed(by, Permission.CLIP_CLOSE, grant_id)
        return self._gate.close(grant_id, closing)

    def report_design(
        self, by: Principal, grant_id: str, replica_id: str, proof: bytes, audio_sha256: str
    ) -> None:
        """Needs GATE or REPLICA, and the node secret behind `proof`. Raises NotFound for another tenant's grant."""
        self._require_redeemed(by, Permission.GRANT_REDEEM, grant_id)
        self._gate.report_design(grant_id, replica_id, proof, audio_sha256)

    def register_clip(self, by: Principal, record: ClipRecord) -> None:
        """Needs STAMPER. Raises NotFound for another tenant's clip."""
        self._require(by, Permission.CLIP_WRITE)
        if record.tenant != by.tenant:
            raise NotFound("no grant was redeemed for this clip", code="clip_unknown")
        self._clips.register_clip(record)

    def find_clip(self, by: Principal, clip_id: str) -> ClipRecord:
        """Needs GATE or STAMPER. Raises NotFound."""
        self._require(by, Permission.CLIP_LOOK_UP)
        record = self._clips.find_clip(by.tenant, clip_id)
        if record is None:
            raise NotFound("no such clip", code="clip_unknown")
        return record

    def standing(
        self, by: Principal, clip_id: str, consent_id: str | None, consent_version: int | None
    ) -> tuple[Standing, float]:
        """Needs GATE or STAMPER. UNKNOWN for another tenant's clip."""
        self._require(by, Permission.CLIP_LOOK_UP)
        if self._clips.find_clip(by.tenant, clip_id) is None:
            return Standing.UNKNOWN, self._core.clock()
        return self._clips.standing(clip_id, consent_id, consent_version)

    def revocations(self, by: Principal, after: int = 0, limit: int = MOST_REVOCATIONS) -> list[Revocation]:
        """The tenant's own part of the feed, oldest first. Needs GATE or REPLICA."""
        with self._core.read(by, Permission.FEED_READ) as reading:
            feed = revocations.c
            query = (
                select(revocations).where(feed.tenant == reading.tenant, feed.seq > after).order_by(feed.seq)
            )
            rows = reading.connection.execute(query.limit(max(1, min(limit, MOST_REVOCATIONS)))).mappings()
            return [from_row(Revocation, row) for row in rows]

    def _require(self, by: Principal, permission: Permission) -> None:
        with self._core.read(by, permission):
            return

    def _require_redeemed(self, by: Principal, permission: Permission, grant_id: str) -> None:
        with self._core.read(by, permission) as reading:
            if find_row(reading.connection, redemptions, reading.tenant, grant_id=grant_id) is None:
                raise NotFound("no such grant was redeemed", code="grant_unknown")

    def _require_own_grant(self, by: Principal, token: str) -> None:
        self._require(by, Permission.GRANT_REDEEM)
        grant = GrantVerifier(self._core.keys.public_keys(KeyPurpose.GRANT)).verify_signature(token)
        if grant.tenant != by.tenant:
            raise GrantMismatch("the grant was made for another tenant")
