"""Consents: recorded, narrowed, revoked, receipted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

import rfc8785
from sqlalchemy import Connection, RowMapping, func, insert, select

from consent_service import access
from consent_service.access import Permission
from consent_service.consents import evidence, receipts, records
from consent_service.core import Core, WriteTransaction
from consent_service.errors import Conflict
from consent_service.ids import new_id
from consent_service.ledger.rows import find_value, rows_of
from consent_service.ledger.tables import clips, subjects
from consent_service.ledger.tables import consents as consents_table
from consent_service.models import Consent, ConsentTerms, Narrowing, Principal, RecordedConsent, Revocation
from consent_service.policy.narrowing import leaves_clips_untold, narrowed
from consent_service.policy.purposes import any_covers
from consent_service.policy.terms import checked, to_json
from consent_service.voices import records as voices

NARROWED: Final = "consent_narrowed"  # the feed's reason for a consent that lost purposes


class Consents:
    """`ConsentService.consents`. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def record(self, by: Principal, *, voice_id: str, terms: ConsentTerms) -> RecordedConsent:
        """Needs VOICE_ADMIN and an active cloned voice. InvalidInput codes: purpose_unknown,
        validity_invalid, language_unsupported."""
        with self._core.write(by, Permission.CONSENT_RECORD) as writing:
            agreed = checked(terms, writing.now)
            voice = voices.find(writing.connection, writing.tenant, voice_id)
            if voice["state"] != "active" or voice["kind"] != "cloned":
                raise Conflict("a consent is for an approved voice of a person", code="voice_not_active")
            consent = Consent(
                consent_id=new_id("consent"),
                version=1,
                tenant=writing.tenant,
                voice_id=voice_id,
                subject_id=voice["subject_id"],
                terms=agreed,
                state="live",
                recorded_at=writing.now,
                evidence=_evidence(writing, voice, agreed),
            )
            leaf = writing.log.append("consent.recorded", by=by.key_id, **_log_fields(writing, consent))
            recorded = records.with_receipt(
                self._core, writing, consent, records.history(writing, consent), leaf
            )
            writing.connection.execute(
                insert(consents_table),
                {
                    "consent_id": consent.consent_id,
                    "tenant": writing.tenant,
                    "voice_id": voice_id,
                    "subject_id": consent.subject_id,
                    "version": 1,
                    "state": "live",
                    "terms": to_json(agreed),
                    "token_sha256": access.digest_of(recorded.consent_token),
                    "recorded_at": writing.now,
                    "revoked_reason": "",
                    "receipt": recorded.receipt,
                    "evidence": dict(consent.evidence),
                },
            )
            records.keep_version(writing, recorded)
            return recorded

    def get(self, by: Principal, consent_id: str) -> Consent:
        """Raises NotFound."""
        with self._core.read(by, Permission.CONSENT_READ) as reading:
            return records.to_consent(records.find(reading.connection, reading.tenant, consent_id))

    def list_all(self, by: Principal, voice_id: str | None = None) -> list[Consent]:
        """Consents of the tenant, or of one of its voices, oldest first."""
        with self._core.read(by, Permission.CONSENT_READ) as reading:
            query = select(consents_table).where(consents_table.c.tenant == reading.tenant)
            if voice_id is not None:
                query = query.where(consents_table.c.voice_id == voice_id)
            rows = reading.connection.execute(query.order_by(consents_table.c.recorded_at)).mappings()
            return [records.to_consent(row) for row in rows]

    def receipt(self, by: Principal, consent_id: str) -> str:
        """The signed receipt of the consent as it stands; `proofs.receipt.verify_receipt` checks it
        offline."""
        with self._core.read(by, Permission.CONSENT_READ) as reading:
            return str(records.find(reading.connection, reading.tenant, consent_id)["receipt"])

    def narrow(
        self,
        by: Principal,
        consent_id: str,
        *,
        purposes: Sequence[str] | None = None,
        languages: Sequence[str] | None = None,
        territories: Sequence[str] | None = None,
        channels: Sequence[str] | None = None,
        valid_until: float | None = None,
        character_budget: int | None = None,
        inside_boundary: bool = False,
    ) -> RecordedConsent:
        """What is to remain of the terms: a new version, token and receipt. Grants of the old version die, and clips
        made for the lost purposes are withdrawn (all clips, when another axis than purposes, end or budget shrinks).
        InvalidInput with purpose_not_consented, language_…, territory_…, channel_not_consented, validity_invalid or
        budget_invalid when it would widen."""
        wanted = Narrowing(
            purposes=_tuple(purposes),
            languages=_tuple(languages),
            territories=_tuple(territories),
            channels=_tuple(channels),
            valid_until=valid_until,
            character_budget=character_budget,
            inside_boundary=inside_boundary,
        )
        with self._core.write(by, Permission.CONSENT_RECORD) as writing:
            before = records.to_consent(records.find(writing.connection, writing.tenant, consent_id))
            if before.state != "live":
                raise Conflict("the consent was withdrawn", code="consent_revoked")
            remaining = narrowed(before.terms, wanted, writing.now)
            after = replace(before, version=before.version + 1, terms=remaining)
            withdrawn = records.withdraw_clips(
                writing, consent_id, _lost(writing.connection, before, remaining)
            )
            records.raise_epoch(writing, after, NARROWED)
            leaf = writing.log.append(
                "consent.narrowed", by=by.key_id, clips=withdrawn, **_log_fields(writing, after)
            )
            history = [
                *records.history(writing, before),
                receipts.Event("narrowed", writing.now, receipts.CONTROLLER),
            ]
            recorded = records.with_receipt(self._core, writing, after, history, leaf)
            records.change(
                writing,
                consent_id,
                version=after.version,
                terms=to_json(after.terms),
                token_sha256=access.digest_of(recorded.consent_token),
                receipt=recorded.receipt,
            )
            records.keep_version(writing, recorded)
            return recorded

    def clips_lost(self, by: Principal, consent_id: str, wanted: Narrowing) -> int:
        """How many live clips `narrow` would withdraw with these terms. Raises as it does; changes nothing."""
        with self._core.read(by, Permission.CONSENT_RECORD) as reading:
            before = records.to_consent(records.find(reading.connection, reading.tenant, consent_id))
            remaining = narrowed(before.terms, wanted, reading.now)
            lost = _lost(reading.connection, before, remaining)
            query = (
                select(func.count())
                .select_from(clips)
                .where(records.live_clips(reading.tenant, consent_id), lost)
            )
            return int(reading.connection.execute(query).scalar_one())

    def revoke(self, by: Principal, consent_id: str, reason: str) -> Revocation:
        """Immediate and irreversible: state, voice epoch, feed and audit in one transaction."""
        return records.revoke(self._core, by, consent_id, reason)


def _lost(connection: Connection, before: Consent, remaining: ConsentTerms) -> Any:
    """Which clips a narrowing takes along: those of the lost purposes; all of them when an axis shrinks that a clip's
    record does not tell."""
    if leaves_clips_untold(before.terms, remaining):
        return True
    made_for = _clip_purposes(connection, before.tenant, before.consent_id)
    return clips.c.purpose.in_([p for p in made_for if not any_covers(remaining.purposes, p)])


def _clip_purposes(connection: Connection, tenant: str, consent_id: str) -> list[str]:
    query = select(clips.c.purpose).distinct()
    rows = connection.execute(query.where(rows_of(clips, tenant, consent_id=consent_id)))
    return [row.purpose for row in rows]


def _log_fields(writing: WriteTransaction, consent: Consent) -> dict[str, Any]:
    """What the log holds of a consent: every term but the grantee, who may be a person."""
    agreed = consent.terms
    field = f"grantee.{consent.version}"
    return {
        "consent": consent.consent_id,
        "version": consent.version,
        "voice": consent.voice_id,
        "subject": consent.subject_id,
        "purposes": list(agreed.purposes),
        "languages": list(agreed.languages),
        "territories": list(agreed.territories),
        "channels": list(agreed.channels),
        "outside_boundary": agreed.outside_boundary,
        "valid_from": agreed.valid_from,
        "valid_until": agreed.valid_until,
        "budget": agreed.character_budget,
        "evidence": consent.evidence.get("digest"),
        "grantee": writing.log.commit_to(consent.consent_id, field, agreed.grantee),
    }


def _evidence(writing: WriteTransaction, voice: RowMapping, agreed: ConsentTerms) -> dict[str, Any]:
    """How it is known that this person agreed to this: what their statements prove, under one digest."""
    proved = evidence.evidence_for(writing.connection, voice, agreed.grantee, agreed.purposes)
    confirmed = find_value(
        writing.connection, subjects.c.contact_confirmed_at, writing.tenant, subject_id=voice["subject_id"]
    )
    proved |= {"contact_confirmed_at": confirmed}
    return {**proved, "digest": sha256(rfc8785.dumps(proved)).hexdigest()}


def _tuple(values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
