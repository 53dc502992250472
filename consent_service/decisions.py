"""The gate: look up what the ledger knows, let `policy` decide, sign what it permits, audit what it refuses.

One request and a thousand go the same way, so that they can't be decided differently: a handful of queries
for all of them, in one snapshot. An Allow writes nothing; it is `redemption` that makes it count. A refusal
is on the disk before the caller hears of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

import rfc8785
from sqlalchemy import Connection, select

from consent_service import access, purposes, terms
from consent_service.access import Permission
from consent_service.core import Core
from consent_service.errors import PermissionDenied
from consent_service.grants import Grant, sign_grant
from consent_service.languages import LANGUAGES
from consent_service.ledger.tables import bindings, consents, voices
from consent_service.models import Allow, Deny, Principal, SpeechClaim
from consent_service.policy import MAX_CHARACTERS, ConsentFacts, Facts, Permitted, VoiceFacts, decide
from consent_service.proofs.seams import KeyPurpose

_T = TypeVar("_T")
_AT_ONCE: Final = 500  # values of one IN (…): well below every database's limit


@dataclass(frozen=True, slots=True)
class _Known:
    """What the ledger holds on a batch of claims, within one tenant."""

    voices: dict[str, VoiceFacts]
    by_token: dict[bytes, ConsentFacts]
    by_binding: dict[str, ConsentFacts]

    def facts(self, claim: SpeechClaim, caller: Principal, now: float) -> Facts:
        if claim.consent_token is None:
            consent = self.by_binding.get(claim.voice_id)
        else:
            consent = self.by_token.get(access.digest_of(claim.consent_token))
        voice = self.voices.get(claim.voice_id)
        return Facts(now, caller.grantee, caller.claims, voice, consent)


def authorize_many(core: Core, by: Principal, claims: Sequence[SpeechClaim]) -> list[Allow | Deny]:
    """Decide every claim, in order. Raises Unauthenticated, PermissionDenied or LedgerUnavailable."""
    try:
        with core.read(by, Permission.SPEAK) as reading:
            caller, now = reading.by, reading.now
            known = _look_up(reading.connection, caller, claims)
    except PermissionDenied:
        with core.write_as(by.tenant) as writing:
            writing.log.append(
                "speech.refused", by=by.key_id, code=PermissionDenied.code, requests=len(claims)
            )
        raise
    decisions: list[Allow | Deny] = []
    refused: list[tuple[SpeechClaim, Deny]] = []
    for claim in claims:
        verdict = decide(claim, known.facts(claim, caller, now))
        if isinstance(verdict, Deny):
            refused.append((claim, verdict))
            decisions.append(verdict)
        else:
            decisions.append(_allow(core, caller, claim, verdict, now))
    if refused:
        with core.write_as(caller.tenant) as writing:
            for claim, verdict in refused:
                writing.log.append(
                    "speech.refused", by=caller.key_id, code=verdict.code, **_told(claim, known)
                )
    return decisions


def cache_scope(grant: Grant) -> str:
    """What a cached clip may be shared within: canonical JSON, so that no two scopes read the same."""
    return rfc8785.dumps(
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
        characters=claim.characters,
        issued_at=now,
        start_by=start_by if ends is None else min(start_by, ends),
        valid_until=ends,
    )
    token = sign_grant(
        grant,
        key_id=core.keys.current_key_id(KeyPurpose.GRANT),
        sign=lambda payload: core.keys.sign(KeyPurpose.GRANT, payload)[1],
    )
    return Allow(grant, token, cache_scope(grant))


def _look_up(connection: Connection, caller: Principal, claims: Sequence[SpeechClaim]) -> _Known:
    clones = [claim for claim in claims if claim.mode == "clone"]
    wanted = {claim.voice_id for claim in clones}
    tokens = {access.digest_of(claim.consent_token) for claim in clones if claim.consent_token is not None}
    found: dict[str, VoiceFacts] = {}
    for ids in _chunks(wanted):
        mine = (voices.c.tenant == caller.tenant) & voices.c.voice_id.in_(ids)
        for row in connection.execute(select(voices).where(mine)).mappings():
            found[row["voice_id"]] = VoiceFacts(row["voice_id"], row["kind"], row["state"], row["epoch"])
    by_token: dict[bytes, ConsentFacts] = {}
    for hashes in _chunks(tokens):
        mine = (consents.c.tenant == caller.tenant) & consents.c.token_sha256.in_(hashes)
        for row in connection.execute(select(consents).where(mine)).mappings():
            by_token[bytes(row["token_sha256"])] = to_facts(row)
    by_binding: dict[str, ConsentFacts] = {}
    for ids in _chunks({claim.voice_id for claim in clones if claim.consent_token is None}):
        bound = consents.join(bindings, bindings.c.consent_id == consents.c.consent_id)
        mine = (
            (bindings.c.tenant == caller.tenant)
            & (consents.c.tenant == caller.tenant)
            & (bindings.c.key_id == caller.key_id)
            & bindings.c.voice_id.in_(ids)
        )
        for row in connection.execute(select(consents).select_from(bound).where(mine)).mappings():
            by_binding[row["voice_id"]] = to_facts(row)
    return _Known(found, by_token, by_binding)


def to_facts(row: Any) -> ConsentFacts:
    return ConsentFacts(
        row["consent_id"], row["version"], row["voice_id"], row["state"], terms.from_json(row["terms"])
    )


def _told(claim: SpeechClaim, known: _Known) -> dict[str, Any]:
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


def _chunks(values: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(values)
    while chunk := list(islice(rest, _AT_ONCE)):
        yield chunk
