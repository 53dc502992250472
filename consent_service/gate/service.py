"""The gate: decide, redeem, close, tell what was revoked."""

from __future__ import annotations

from collections.abc import Sequence

from consent_service.core import Core
from consent_service.gate import abandoned, authorize, redeem, replicas, revocations
from consent_service.gate.abandoned import Backlog
from consent_service.gate.follower import RevocationFollower
from consent_service.gate.revocations import RevocationStream
from consent_service.models import Allow, Closing, Deny, Principal, Redeemed, Revocation, SpeechClaim
from consent_service.policy.limits import Limits
from consent_service.vault import sealing


class Gate:
    """`ConsentService.gate`. Thread-safe."""

    def __init__(self, core: Core, limits: Limits) -> None:
        self._core, self._limits = core, limits
        self._redeemer = redeem.Redeemer(core, limits)

    def authorize(self, by: Principal, claim: SpeechClaim) -> Allow | Deny:
        """Look up, decide (`policy.decide`), sign. A refusal is audited too; RateLimited after too many."""
        return authorize.authorize(self._core, self._limits, by, claim)

    def authorize_many(self, by: Principal, claims: Sequence[SpeechClaim]) -> list[Allow | Deny]:
        """The same decisions, in order, from one look-up. A refusal too many is a Deny (rate_limited)."""
        return authorize.authorize_many(self._core, self._limits, by, claims)

    def register_replica(self, replica_id: str, public_key: bytes, proof: bytes) -> dict[str, bytes]:
        """Register an X25519 key (32 raw bytes); proof is sealing.node_proof(node_secret, replica_id,
        public_key). Returns the grants' public keys. Raises ReplicaUnknown when the proof is wrong."""
        secret = sealing.load_node_secret(self._core.config.data_dir)
        return replicas.register(self._core, replica_id, public_key, proof, node_secret=secret)

    def redeem(self, token: str, replica_id: str) -> Redeemed:
        """Use a grant up: signature, start time, nonce, revocation, audit entry and clip record in one
        transaction; then seal the reference to the replica's key. Raises GrantError subclasses,
        ReplicaUnknown."""
        return self._redeemer.redeem(token, replica_id)

    def redeem_cached(self, token: str, cached_clip_id: str) -> Redeemed:
        """Use a grant up to hand over a clip that exists already: the same checks and an audit entry, no
        reference. GrantMismatch when the cached clip's tenant, voice, consent, purpose, grantee or text is
        not the grant's; GrantRevoked when the cached clip is not live."""
        return self._redeemer.redeem_cached(token, cached_clip_id)

    def close(self, grant_id: str, closing: Closing) -> int:
        """The second audit record of a redeemed grant; returns its leaf index. Idempotent."""
        return redeem.close(self._core, grant_id, closing)

    def report_design(self, grant_id: str, replica_id: str, proof: bytes, audio_sha256: str) -> None:
        """The replica that redeemed a grant answers for the clip that came of it; proof is
        sealing.spoken_proof(node_secret, replica_id, grant_id). Raises GrantMismatch for any other replica."""
        secret = sealing.load_node_secret(self._core.config.data_dir)
        replicas.report_design(self._core, grant_id, replica_id, proof, audio_sha256, node_secret=secret)

    def close_abandoned(self, by: Principal, older_than_s: float = abandoned.ABANDONED_AFTER_S) -> int:
        """Close grants that were redeemed so long ago and never closed, as failed; how many. Needs OPERATOR."""
        return abandoned.close_abandoned(self._core, by, older_than_s)

    def forget_replicas(self, by: Principal, registered_before_s: float) -> int:
        """Delete the keys of replicas that registered longer ago (an hour at least); how many. Needs
        INSTALLATION."""
        return abandoned.forget_replicas(self._core, by, registered_before_s)

    def backlog(self) -> Backlog:
        """How much `close_abandoned` and `forget_replicas` have to do, for every tenant. Local operation."""
        return abandoned.backlog(self._core)

    def revocations(self, after: int = 0, limit: int = 1000) -> list[Revocation]:
        """The feed, oldest first, across tenants (for gates and replicas)."""
        return revocations.revocations(self._core, after, limit)

    def watch_revocations(self, after: int = 0) -> RevocationStream:
        """The same feed as it grows: an iterator that waits, resumes after the last number seen, and is closed from
        any thread. Under 250 ms from commit to consumer. `freshness` tells a consumer when it must refuse."""
        return revocations.RevocationStream(self._core, after)

    def follow_revocations(self) -> RevocationFollower:
        """What long polls of one process wait with. The caller closes it, before the service."""
        return RevocationFollower(self._core)

    def watermark_key(self, replica_id: str, epoch: int) -> bytes:
        """The keyed watermark's key of an epoch, sealed to a registered replica (sealing.watermark_info).
        Raises ReplicaUnknown, NotFound for an epoch that has not begun."""
        return replicas.watermark_key(self._core, replica_id, epoch)
