"""The gate: decide, redeem, close, tell what was revoked."""

from __future__ import annotations

from consent_service.core import Core
from consent_service.gate import revocations
from consent_service.gate.abandoned import Abandoned
from consent_service.gate.authorize import Authorizer
from consent_service.gate.follower import RevocationFollower
from consent_service.gate.redeem import Redeemer
from consent_service.gate.replicas import Replicas
from consent_service.gate.revocations import RevocationStream
from consent_service.models import Revocation
from consent_service.policy.limits import Limits


class Gate:
    """`ConsentService.gate`. Thread-safe."""

    def __init__(self, core: Core, limits: Limits) -> None:
        self._core = core
        authorizer, replicas, abandoned = Authorizer(core, limits), Replicas(core), Abandoned(core)
        self._redeemer = redeemer = Redeemer(core, limits)
        self.authorize = authorizer.authorize
        self.authorize_many = authorizer.authorize_many
        self.redeem = redeemer.redeem
        self.redeem_cached = redeemer.redeem_cached
        self.close = redeemer.close
        self.register_replica = replicas.register
        self.watermark_key = replicas.watermark_key
        self.report_design = replicas.report_design
        self.forget_replicas = replicas.forget
        self.close_abandoned = abandoned.close
        self.backlog = abandoned.backlog

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
