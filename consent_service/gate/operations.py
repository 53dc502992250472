"""What using a grant up, and closing it, does within a group commit: check as of now, then write, or refuse.

An operation checks everything before it writes anything. A refusal is recorded in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from consent_service import access
from consent_service.clips import register
from consent_service.commit.batch import GrantContext, LedgerBatch
from consent_service.errors import (
    ConsentError,
    GrantExpired,
    GrantMismatch,
    GrantRevoked,
    GrantUsed,
    NotFound,
    ReplicaUnknown,
)
from consent_service.grants import Basis, Grant
from consent_service.models import Closing
from consent_service.policy import decide
from consent_service.proofs.records import WatermarkTag


@dataclass(frozen=True, slots=True)
class RedemptionResult:
    """What a redemption's transaction left behind. `prompt_digest` is "" where no reference is needed."""

    leaf: int
    public_key: bytes
    prompt_digest: str


@dataclass(frozen=True, slots=True)
class RedeemGrant:
    """Speak."""

    grant: Grant
    replica_id: str
    mark: WatermarkTag
    clip_id: None = None

    @property
    def grant_id(self) -> str:
        return self.grant.grant_id

    def run(self, group: LedgerBatch) -> RedemptionResult:
        grant = self.grant
        state = _checked(group, grant, self.replica_id)
        if state.replica_key is None:
            raise ReplicaUnknown("this replica never registered a key; restart it")
        leaf = _use_up(group, grant, state, "speech.redeemed", grant.characters, replica=self.replica_id)
        group.add_clip(register.new_row(group.writing, grant, leaf, self.mark, _said(group, grant, state)))
        return RedemptionResult(leaf, state.replica_key, state.prompt_digest if grant.basis.is_clone else "")

    def refused(self, group: LedgerBatch, error: ConsentError) -> None:
        _note_refusal(group, self.grant, error)


@dataclass(frozen=True, slots=True)
class ReuseClip:
    """Hand over what was spoken before: nothing is synthesised, so it costs no characters."""

    grant: Grant
    clip_id: str  # the one that is there already

    @property
    def grant_id(self) -> str:
        return self.grant.grant_id

    def run(self, group: LedgerBatch) -> int:
        state = _checked(group, self.grant, "")
        _require_same(group, self.grant, state, self.clip_id)
        return _use_up(group, self.grant, state, "speech.reused", 0, reused=self.clip_id)

    def refused(self, group: LedgerBatch, error: ConsentError) -> None:
        _note_refusal(group, self.grant, error)


@dataclass(frozen=True, slots=True)
class CloseGrant:
    """The second record."""

    grant_id: str
    closing: Closing
    clip_id: None = None

    def run(self, group: LedgerBatch) -> int:
        used, closing = group.used.get(self.grant_id), self.closing
        if used is None:
            raise no_such_grant()
        if used.closing_leaf is not None:
            return used.closing_leaf
        leaf = group.writing.log.append(
            "speech.closed",
            grant=self.grant_id,
            clip=used.reused_clip_id or used.clip_id,
            outcome=closing.outcome,
            seconds=round(closing.seconds, 3),
            audio=closing.audio_sha256 or None,
            reason=closing.reason or None,
        )
        group.close(self.grant_id, leaf)
        return leaf

    def refused(self, group: LedgerBatch, error: ConsentError) -> None:
        """A grant that nobody used leaves no record."""


def _checked(group: LedgerBatch, grant: Grant, replica_id: str) -> GrantContext:
    """What may have changed since the grant was signed."""
    writing = group.writing
    if writing.now > grant.start_by:
        raise GrantExpired("the grant's time to start has passed; ask the gate again")
    voice_id = grant.voice_id if grant.basis.is_clone else ""
    state = group.state(grant.key_id, replica_id, voice_id, grant.consent_id)
    if state is None or not access.is_live(state.key_revoked_at, state.key_expires_at, writing.now):
        raise GrantRevoked("the API key that asked was revoked or has expired", code="key_revoked")
    if grant.basis.is_clone:
        if state.voice_state != "active" or state.voice_epoch != grant.voice_epoch:
            raise GrantRevoked("a consent of this voice was withdrawn since; ask the gate again")
        if grant.basis is Basis.CONSENT:
            _check_consent(group, grant, state.consent)
    if grant.grant_id in group.used:
        raise GrantUsed("the grant was used before; ask the gate for a new one")
    return state


def _check_consent(group: LedgerBatch, grant: Grant, consent: decide.ConsentFacts | None) -> None:
    if consent is None or consent.version != grant.consent_version:
        raise GrantRevoked("the consent was changed since; ask the gate again")
    refused = decide.standing_of(consent, group.writing.now)
    if refused is None:
        used = replace(consent, characters_used=group.characters_used(consent))
        if not decide.within_budget(used, grant.characters):
            refused = decide.deny("budget_exhausted")
    if refused is not None:
        raise GrantRevoked(refused.reason, code=refused.code)


def _use_up(group: LedgerBatch, grant: Grant, state: GrantContext, kind: str, spoken: int, **how: Any) -> int:
    """Spend the nonce and append the entry: neither is ever there without the other."""
    writing = group.writing
    leaf = writing.log.append(
        kind,
        by=grant.key_id,
        grant=grant.grant_id,
        clip=grant.clip_id,
        basis=grant.basis.value,
        voice=grant.voice_id,
        epoch=grant.voice_epoch,
        consent=grant.consent_id,
        version=grant.consent_version,
        purpose=grant.purpose,
        said=_said(group, grant, state),
        characters=grant.characters,
        **how,
    )
    row = {
        "grant_id": grant.grant_id,
        "tenant": writing.tenant,
        "clip_id": grant.clip_id,
        "reused_clip_id": how.get("reused"),
        "leaf": leaf,
        "redeemed_at": writing.now,
    }
    group.redeem(row, grant.consent_id, spoken)
    return leaf


def _note_refusal(group: LedgerBatch, grant: Grant, error: ConsentError) -> None:
    group.writing.log.append(
        "speech.refused",
        by=grant.key_id,
        code=error.code,
        grant=grant.grant_id,
        voice=grant.voice_id if grant.basis.is_clone else None,
    )


def _said(group: LedgerBatch, grant: Grant, state: GrantContext) -> str:
    return group.writing.log.said(grant.said_digest, state.said_salt if grant.basis.is_clone else None)


def _require_same(group: LedgerBatch, grant: Grant, state: GrantContext, cached_clip_id: str) -> None:
    """A cached clip goes out only where the grant would have made the very same one."""
    row = group.clips.get(cached_clip_id)
    same = {
        "voice_id": grant.voice_id,
        "basis": grant.basis.value,
        "consent_id": grant.consent_id,
        "consent_version": grant.consent_version,
        "purpose": grant.purpose,
        "grantee": grant.grantee,
        "said_digest": _said(group, grant, state),
    }
    if row is None or any(row[name] != value for name, value in same.items()) or not row["audio_sha256"]:
        raise GrantMismatch("the cached clip is not the one that this grant allows")
    if row["state"] != "live":
        raise GrantRevoked("the cached clip was withdrawn")


def no_such_grant() -> NotFound:
    return NotFound("no such grant was redeemed", code="grant_unknown")
