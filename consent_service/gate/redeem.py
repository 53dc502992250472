"""Using a grant up: the one transaction after which a clip may be spoken (DESIGN I1, I3).

Nonce, recheck of key, voice and consent, the characters spoken, audit entry and clip record are committed together,
with those of whoever else asked meanwhile (`commit`); only then is the checkpoint signed and the reference sealed
to the replica. Whatever fails before the commit leaves nothing but the record of the refusal; whatever fails after it
leaves a used grant, an entry and no audio.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from sqlalchemy import bindparam, select

from consent_service.clips import register
from consent_service.clips.watermarks import Tags
from consent_service.commit.group_commit import Committed
from consent_service.core import Core
from consent_service.errors import ConsentError, GrantError, InvalidInput, RateLimited, ReplicaUnknown
from consent_service.gate.operations import (
    CloseGrant,
    RedeemGrant,
    RedemptionResult,
    ReuseClip,
    no_such_grant,
)
from consent_service.grants import Grant, GrantVerifier
from consent_service.ids import CODE
from consent_service.ledger.engine import fail_closed
from consent_service.ledger.tables import redemptions
from consent_service.models import Closing, Redeemed
from consent_service.policy.limits import Limits
from consent_service.proofs.records import KeyPurpose
from consent_service.vault.sealing import reference_info, seal
from foundation.errors import CodedError

_OUTCOMES: Final = ("completed", "cut", "disconnected", "failed")


class Redeemer:
    """Uses grants up. Holds this process's watermark tags and the verifier of grants. Thread-safe."""

    def __init__(self, core: Core, limits: Limits) -> None:
        self._core, self._limits = core, limits
        self._tags = Tags(core.ledger)
        self._verifiers: dict[tuple[tuple[str, bytes], ...], GrantVerifier] = {}

    def redeem(self, token: str, replica_id: str) -> Redeemed:
        """Use a grant up: signature, start time, nonce, revocation, audit entry and clip record in one
        transaction; then seal the reference to the replica's key. Raises GrantError subclasses,
        ReplicaUnknown."""
        outcome = self.redeem_many([token], replica_id)[0]
        if isinstance(outcome, Redeemed):
            return outcome
        raise outcome

    def redeem_many(self, tokens: Sequence[str], replica_id: str) -> list[Redeemed | Exception]:
        """Each grant's outcome, in order; a thousand of a tenant in one transaction. References are sealed one by one:
        the result holds as many copies of a recording as it has rows."""
        grants = [self._admitted(token) for token in tokens]
        wanted: dict[str, list[RedeemGrant]] = {}
        for grant in grants:
            if isinstance(grant, Grant):
                (mark,) = self._tags.take()
                wanted.setdefault(grant.tenant, []).append(RedeemGrant(grant, replica_id, mark))
        outcomes: dict[str, Iterator[tuple[RedeemGrant, Committed[RedemptionResult] | Exception]]] = {}
        for tenant, operations in wanted.items():
            committed = self._core.committer(tenant).submit_all(operations)
            self._tags.give_back(
                operation.mark
                for operation, outcome in zip(operations, committed, strict=True)
                if isinstance(outcome, GrantError | ReplicaUnknown)  # certainly not written
            )
            outcomes[tenant] = zip(operations, committed, strict=True)
        opened: dict[tuple[str, str], bytes] = {}
        told: list[Redeemed | Exception] = []
        for grant in grants:
            if isinstance(grant, Exception):
                told.append(grant)
            else:
                operation, outcome = next(outcomes[grant.tenant])
                self._limits.after_redemption(grant.key_id, outcome)
                told.append(
                    outcome if isinstance(outcome, Exception) else self._hand_out(operation, outcome, opened)
                )
        return told

    def redeem_cached(self, token: str, cached_clip_id: str) -> Redeemed:
        """Use a grant up to hand over a clip that exists already: the same checks and an audit entry, no
        reference. GrantMismatch when the cached clip's tenant, voice, consent, purpose, grantee or text is
        not the grant's; GrantRevoked when the cached clip is not live."""
        grant = self._admitted(token)
        if isinstance(grant, Exception):
            raise grant
        try:
            committed = self._core.committer(grant.tenant).submit(ReuseClip(grant, cached_clip_id))
        except ConsentError as exc:
            self._limits.after_redemption(grant.key_id, exc)
            raise
        with self._closed_on_failure(grant):
            return Redeemed(grant, committed.value, committed.checkpoint.text())

    def close(self, grant_id: str, closing: Closing) -> int:
        """The second audit record of a redeemed grant; returns its leaf index. Idempotent."""
        if closing.outcome not in _OUTCOMES or not CODE.fullmatch(closing.reason):
            raise InvalidInput("a closing has a known outcome, and a stable code as its reason")
        if closing.audio_sha256 or closing.seconds:
            register.require_audio(closing.audio_sha256 or "0" * 64, closing.seconds)
        with self._core.ledger.look() as connection:
            tenant = connection.execute(_TENANT_OF, {"of": grant_id}).scalar()
        if tenant is None:
            raise no_such_grant()
        return self._core.committer(tenant).submit(CloseGrant(grant_id, closing)).value

    def _admitted(self, token: str) -> Grant | GrantError | RateLimited:
        """Signature and rate limit only: a forged grant belongs to no tenant and leaves no entry in any log."""
        with fail_closed():
            verifier = self._verifier()
        try:
            grant = verifier.verify_signature(token)
            self._limits.before_redemption(grant.key_id)
        except (GrantError, RateLimited) as exc:
            return exc
        return grant

    def _verifier(self) -> GrantVerifier:
        """Over every key that still verifies; a ring that was rotated gives another one."""
        keys = tuple(sorted(self._core.keys.public_keys(KeyPurpose.GRANT).items()))
        known = self._verifiers.get(keys)
        if known is None:
            self._verifiers.clear()
            known = self._verifiers[keys] = GrantVerifier(dict(keys), clock=self._core.clock)
        return known

    def _hand_out(
        self,
        operation: RedeemGrant,
        committed: Committed[RedemptionResult],
        opened: dict[tuple[str, str], bytes],
    ) -> Redeemed | Exception:
        """Checkpoint and sealed reference. `opened`: the references of this call, so that each is decrypted once."""
        grant, entitled = operation.grant, committed.value
        try:
            with self._closed_on_failure(grant):
                checkpoint = committed.checkpoint.text()
                if not grant.basis.is_clone:
                    return Redeemed(grant, entitled.leaf, checkpoint, watermark=operation.mark)
                asked = (grant.voice_id, entitled.prompt_digest)
                if asked not in opened:
                    with fail_closed():
                        opened[asked] = self._core.vault.open(
                            grant.tenant, grant.voice_id, "reference", asked[1]
                        )
                info = reference_info(grant.grant_id, operation.replica_id)
                sealed = seal(entitled.public_key, opened[asked], info)
                return Redeemed(grant, entitled.leaf, checkpoint, sealed, operation.mark)
        except Exception as exc:  # noqa: BLE001 - it is this grant's outcome
            return exc

    @contextmanager
    def _closed_on_failure(self, grant: Grant) -> Iterator[None]:
        """What fails after the commit is told to the log as well as to the caller."""
        try:
            yield
        except Exception as exc:
            with suppress(CodedError):
                reason = exc.code if isinstance(exc, CodedError) else "internal_error"
                self.close(grant.grant_id, Closing("failed", reason=reason))
            raise


def close_all(core: Core, tenant: str, grant_ids: Sequence[str], closing: Closing) -> None:
    """The same record for grants of one tenant, in as few transactions as it takes."""
    for outcome in core.committer(tenant).submit_all(
        [CloseGrant(grant_id, closing) for grant_id in grant_ids]
    ):
        if isinstance(outcome, Exception):
            raise outcome


_TENANT_OF: Final = select(redemptions.c.tenant).where(redemptions.c.grant_id == bindparam("of"))
