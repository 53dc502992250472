"""What the ledger knows of a request, in one query: the caller's key, the voice, and the consent that it names.

A decision must never rest on an earlier answer, so nothing of a state is remembered here. What is remembered is how
a JSON text reads: that cannot change.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Select, Text, and_, bindparam, cast, select

from consent_service import access
from consent_service.ledger.tables import api_keys, bindings, consents, voices
from consent_service.models import Claims, Principal, Role, SpeechClaim
from consent_service.policy import terms
from consent_service.policy.decide import ConsentFacts, Facts, VoiceFacts

_T = TypeVar("_T")
_AT_ONCE: Final = 1000  # values of one IN (…): below every database's limit


@dataclass(slots=True)
class FactSet:
    """What the ledger holds on a batch of claims, for one caller."""

    caller: Principal
    voices: dict[str, VoiceFacts] = field(default_factory=dict)
    by_token: dict[tuple[str, bytes], ConsentFacts] = field(default_factory=dict)
    by_binding: dict[str, ConsentFacts] = field(default_factory=dict)

    def facts(self, claim: SpeechClaim, now: float) -> Facts:
        if claim.consent_token is None:
            consent = self.by_binding.get(claim.voice_id)
        else:
            consent = self.by_token.get((claim.voice_id, access.digest_of(claim.consent_token)))
        return Facts(now, self.caller.grantee, self.caller.claims, self.voices.get(claim.voice_id), consent)


@dataclass(frozen=True, slots=True)
class FactQuery:
    """What a batch of claims asks of the ledger."""

    bound: tuple[tuple[str, ...], ...]  # voices that are asked for without a token, in chunks
    brought: tuple[tuple[tuple[str, bytes], ...], ...]  # voices and the tokens brought for them, in chunks

    @classmethod
    def of(cls, claims: Sequence[SpeechClaim]) -> FactQuery:
        bound: set[str] = set()
        brought: set[tuple[str, bytes]] = set()
        for claim in claims:
            if claim.mode == "clone":
                if claim.consent_token is None:
                    bound.add(claim.voice_id)
                else:
                    brought.add((claim.voice_id, access.digest_of(claim.consent_token)))
        # Even who names no voice has a key to be checked.
        return cls(tuple(_chunks(bound)) if bound or brought else ((),), tuple(_chunks(sorted(brought))))

    @property
    def is_one_query(self) -> bool:
        return len(self.bound) + len(self.brought) == 1

    def answered(self, connection: Connection, by: Principal, now: float) -> FactSet:
        """Raises Unauthenticated when the caller's key no longer lives."""
        known: FactSet | None = None
        for ids in self.bound:
            if len(ids) == 1:
                known = _read(
                    connection, _ONE_BY_BINDING, {"key": by.key_id, "voice": ids[0]}, by, now, known
                )
            else:
                known = _read(connection, _BY_BINDING, {"key": by.key_id, "voices": ids}, by, now, known)
        for pairs in self.brought:
            if len(pairs) == 1:
                ((voice, token),) = pairs
                asked: dict[str, Any] = {"key": by.key_id, "voice": voice, "token": token}
                known = _read(connection, _ONE_BY_TOKEN, asked, by, now, known)
                continue
            asked = {
                "key": by.key_id,
                "voices": [voice for voice, _ in pairs],
                "tokens": [each for _, each in pairs],
            }
            known = _read(connection, _BY_TOKEN, asked, by, now, known)
        if known is None:
            raise access.unauthenticated()
        return known


def _read(
    connection: Connection,
    query: Select[Any],
    asked: dict[str, Any],
    by: Principal,
    now: float,
    known: FactSet | None,
) -> FactSet | None:
    by_token = query is _BY_TOKEN or query is _ONE_BY_TOKEN
    for row in connection.execute(query, asked):
        (tenant, grantee, roles, claims, label, subject, expires_at, revoked_at), rest = row[:8], row[8:]
        if tenant != by.tenant or not access.is_live(revoked_at, expires_at, now):
            raise access.unauthenticated()
        if known is None:
            known = FactSet(_principal(tenant, by.key_id, grantee, roles, claims, label, subject))
        voice_id, kind, state, epoch, consent_id, version, stands, agreed, used, token = rest
        if voice_id is None:
            continue
        known.voices[voice_id] = VoiceFacts(voice_id, kind, state, epoch)
        if consent_id is not None:
            consent = ConsentFacts(consent_id, version, voice_id, stands, terms.parse(agreed), used)
            if by_token:
                known.by_token[voice_id, bytes(token)] = consent
            else:
                known.by_binding[voice_id] = consent
    return known


@lru_cache(maxsize=1024)
def _principal(
    tenant: str, key_id: str, grantee: str, roles: str, claims: str, label: str, subject_id: str | None
) -> Principal:
    claimed = Claims(**{axis: tuple(values) for axis, values in json.loads(claims).items()})
    held = frozenset(Role(role) for role in json.loads(roles))
    return Principal(tenant, key_id, grantee, held, claimed, label, subject_id)


def _query(by: str, *, one: bool) -> Select[Any]:
    """Key, its voice and that voice's consent, side by side. What is missing is NULL, so that a key is answered for
    whatever it asks. A consent of another voice, like one of another tenant, is not there."""
    key, voice, consent, binding = api_keys.c, voices.c, consents.c, bindings.c

    # A list of values is put into the statement's text each time that it runs: one value is not worth that.
    def is_one_of(column: Column[Any], name: str) -> ColumnElement[bool]:
        return column == bindparam(name) if one else column.in_(bindparam(f"{name}s", expanding=True))

    named, held = is_one_of(voice.voice_id, "voice"), is_one_of(consent.token_sha256, "token")
    tables = api_keys.outerjoin(voices, and_(voice.tenant == key.tenant, named))
    of_voice = and_(consent.tenant == key.tenant, consent.voice_id == voice.voice_id)
    if by == "binding":
        of_both = and_(binding.key_id == key.key_id, binding.voice_id == voice.voice_id)
        tables = tables.outerjoin(bindings, and_(of_both, binding.tenant == key.tenant))
        tables = tables.outerjoin(consents, and_(consent.consent_id == binding.consent_id, of_voice))
    else:
        tables = tables.outerjoin(consents, and_(of_voice, held))
    of_key = (
        key.tenant, key.grantee, cast(key.roles, Text), cast(key.claims, Text), key.label, key.subject_id,
        key.expires_at, key.revoked_at,
    )  # fmt: skip
    agreed = cast(consent.terms, Text)
    of_consent = (
        consent.consent_id, consent.version, consent.state, agreed, consent.characters_used, consent.token_sha256,
    )  # fmt: skip
    wanted = (*of_key, voice.voice_id, voice.kind, voice.state, voice.epoch, *of_consent)
    return select(*wanted).select_from(tables).where(key.key_id == bindparam("key"))


_BY_BINDING: Final = _query("binding", one=False)
_ONE_BY_BINDING: Final = _query("binding", one=True)
_BY_TOKEN: Final = _query("token", one=False)
_ONE_BY_TOKEN: Final = _query("token", one=True)


def _chunks(values: Collection[_T]) -> Iterator[tuple[_T, ...]]:
    rest = iter(values)
    while chunk := tuple(islice(rest, _AT_ONCE)):
        yield chunk
