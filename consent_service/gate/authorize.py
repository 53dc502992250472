"""The gate: look up what the ledger knows, let `policy` decide, sign what it permits, audit what it refuses.

One request and a thousand go the same way, so that they can't be decided differently: a handful of queries
for all of them, in one snapshot. An Allow writes nothing; it is `redeem` that makes it count. A refusal
is on the disk before the caller hears of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from consent_service import access
from consent_service.access import Permission
from consent_service.commit.batch import LedgerBatch
from consent_service.core import Core
from consent_service.errors import ConsentError, PermissionDenied, RateLimited
from consent_service.gate.facts import FactQuery, FactSet
from consent_service.grants import Grant, sign_grant
from consent_service.models import Allow, Deny, Principal, SpeechClaim
from consent_service.policy import purposes
from consent_service.policy.decide import MAX_CHARACTERS, Permitted, decide, deny
from consent_service.policy.languages import LANGUAGES
from consent_service.policy.limits import Limits
from consent_service.proofs import canonical
from consent_service.proofs.records import KeyPurpose


class Authorizer:
    """Decides claims. Thread-safe."""

    def __init__(self, core: Core, limits: Limits) -> None:
        self._core, self._limits = core, limits

    def authorize(self, by: Principal, claim: SpeechClaim) -> Allow | Deny:
        """Look up, decide (`policy.decide`), sign. A refusal is audited too; RateLimited after too many."""
        (decision,) = self.authorize_many(by, [claim])
        if isinstance(decision, Deny) and decision.code == RateLimited.code:
            raise self._limits.too_many_refusals(by.key_id)
        return decision

    def authorize_many(self, by: Principal, claims: Sequence[SpeechClaim]) -> list[Allow | Deny]:
        """The same decisions, in order, from one look-up. Raises Unauthenticated, PermissionDenied, LedgerUnavailable.

        Each refused claim costs one of the caller's refusals, however they are bundled; one for which there is none
        left is denied as `rate_limited` and not recorded. What is permitted is granted all the same."""
        judged = judge(self._core, by, claims)
        caller, now = judged.known.caller, judged.at
        if not judged.may_speak:
            self._limits.before_refusals(caller.key_id)
            _note(self._core, caller, [{"code": PermissionDenied.code, "requests": len(claims)}])
            access.require(caller, Permission.SPEAK)
        decisions: list[Allow | Deny] = []
        refused: list[dict[str, Any]] = []
        may_record = self._limits.refusals_to_record(
            caller.key_id, sum(isinstance(v, Deny) for v in judged.verdicts)
        )
        for claim, verdict in zip(claims, judged.verdicts, strict=True):
            if not isinstance(verdict, Deny):
                decisions.append(_allow(self._core, caller, claim, verdict, now))
            elif len(refused) == may_record:
                decisions.append(deny(RateLimited.code))
            else:
                refused.append({"code": verdict.code, **_told(claim, judged.known)})
                decisions.append(verdict)
        if refused:
            _note(self._core, caller, refused)
        return decisions


@dataclass(frozen=True, slots=True)
class Judged:
    """What the ledger held at a moment, and what policy made of it. Nothing is granted or recorded yet."""

    known: FactSet
    at: float
    may_speak: bool
    verdicts: Sequence[Permitted | Deny]


def judge(core: Core, by: Principal, claims: Sequence[SpeechClaim]) -> Judged:
    """Look up and decide. Raises Unauthenticated or LedgerUnavailable."""
    question = FactQuery.of(claims)
    with core.ledger.look() if question.is_one_query else core.ledger.read() as connection:
        known = question.answered(connection, by, now := core.clock())
    if not access.permits(known.caller.roles, Permission.SPEAK):
        return Judged(known, now, False, ())
    if core.config.outside_boundary:  # where we run is not the caller's to say
        claims = [replace(claim, outside_boundary=True) for claim in claims]
    return Judged(known, now, True, [decide(claim, known.facts(claim, now)) for claim in claims])


@dataclass(frozen=True, slots=True)
class _Refusals:
    """What a group commit writes of one caller's refused claims."""

    key_id: str
    entries: Sequence[Mapping[str, Any]]
    grant_id: None = None
    clip_id: None = None

    def run(self, group: LedgerBatch) -> None:
        for entry in self.entries:
            group.writing.log.append("speech.refused", by=self.key_id, **entry)

    def refused(self, group: LedgerBatch, error: ConsentError) -> None:
        """Nothing can refuse a record."""


def _note(core: Core, caller: Principal, entries: Sequence[Mapping[str, Any]]) -> None:
    """On the disk when it returns."""
    core.committer(caller.tenant).submit(_Refusals(caller.key_id, entries))


def cache_scope(grant: Grant) -> str:
    """What a cached clip may be shared within: canonical JSON, so that no two scopes read the same."""
    return canonical.dumps(
        [
            grant.tenant,
            grant.grantee,
            grant.purpose,
            grant.basis.value,
            grant.voice_id,
            grant.voice_epoch,
            grant.consent_id,
            grant.consent_version,
        ]
    ).decode()


def _allow(core: Core, caller: Principal, claim: SpeechClaim, permitted: Permitted, now: float) -> Allow:
    consent = permitted.consent
    ends = None if consent is None else consent.terms.valid_until
    start_by = now + core.config.grant_start_within_s
    grant = Grant(
        grant_id=secrets.token_hex(16),
        clip_id=secrets.token_hex(16),
        tenant=caller.tenant,
        grantee=caller.grantee,
        key_id=caller.key_id,
        basis=permitted.basis,
        voice_id=permitted.voice_id,
        voice_epoch=permitted.voice_epoch,
        consent_id=None if consent is None else consent.consent_id,
        consent_version=None if consent is None else consent.version,
        purpose=permitted.purpose,
        said_digest=claim.said_digest,
        language=claim.language,
        characters=claim.characters,
        issued_at=now,
        start_by=start_by if ends is None else min(start_by, ends),
        valid_until=ends,
    )
    signer = core.keys.signer(KeyPurpose.GRANT)
    token = sign_grant(grant, key_id=signer.key_id, sign=signer.sign)
    return Allow(grant, token, cache_scope(grant))


def _told(claim: SpeechClaim, known: FactSet) -> dict[str, Any]:
    """What the log holds of a refused claim. A caller's free words are not repeated: only terms that we
    know."""
    voice_id = claim.voice_id if claim.voice_id in known.voices else None
    return {
        "mode": claim.mode,
        "voice": voice_id,
        "purpose": claim.purpose if claim.purpose is not None and purposes.is_known(claim.purpose) else None,
        "language": claim.language if claim.language in LANGUAGES else None,
        "characters": claim.characters if 1 <= claim.characters <= MAX_CHARACTERS else None,
    }
