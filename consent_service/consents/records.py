"""Consents: recorded, narrowed, withdrawn. Each in one transaction with its receipt and its audit entry.

A withdrawal is immediate and cannot be undone. It raises the voice's epoch, which kills every grant that is
out for the voice; other consents of the voice stay live, and whoever speaks under one of them asks the gate
again.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

import rfc8785
from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, select, update

from consent_service import access
from consent_service.access import Permission
from consent_service.consents import evidence, receipts
from consent_service.core import Core, Writing
from consent_service.errors import Conflict, NotFound
from consent_service.ids import new_id, require_name
from consent_service.ledger.tables import clips, consent_versions, subjects
from consent_service.ledger.tables import consents as consents_table
from consent_service.models import Consent, ConsentTerms, Narrowing, Principal, RecordedConsent, Revocation
from consent_service.policy import purposes, terms
from consent_service.policy.narrowing import leaves_clips_untold, narrowed
from consent_service.proofs.receipt import sign_receipt
from consent_service.proofs.seams import KeyPurpose
from consent_service.voices import records

NARROWED: Final = "consent_narrowed"  # the feed's reason for a consent that lost purposes


def to_consent(row: RowMapping) -> Consent:
    return Consent(
        consent_id=row["consent_id"],
        version=row["version"],
        tenant=row["tenant"],
        voice_id=row["voice_id"],
        subject_id=row["subject_id"],
        terms=terms.from_json(row["terms"]),
        state=row["state"],
        recorded_at=row["recorded_at"],
        revoked_at=row["revoked_at"],
        revoked_reason=row["revoked_reason"],
        evidence=row["evidence"] or {},
    )


def find(connection: Connection, tenant: str, consent_id: str) -> RowMapping:
    """The row of a consent. Raises NotFound, for one of another tenant too."""
    mine = (consents_table.c.tenant == tenant) & (consents_table.c.consent_id == consent_id)
    row = connection.execute(select(consents_table).where(mine)).mappings().one_or_none()
    if row is None:
        raise NotFound("no such consent", code="consent_unknown")
    return row


def show(core: Core, by: Principal, consent_id: str) -> Consent:
    with core.read(by, Permission.CONSENT_READ) as reading:
        return to_consent(find(reading.connection, reading.tenant, consent_id))


def list_consents(core: Core, by: Principal, voice_id: str | None) -> list[Consent]:
    with core.read(by, Permission.CONSENT_READ) as reading:
        query = select(consents_table).where(consents_table.c.tenant == reading.tenant)
        if voice_id is not None:
            query = query.where(consents_table.c.voice_id == voice_id)
        rows = reading.connection.execute(query.order_by(consents_table.c.recorded_at)).mappings()
        return [to_consent(row) for row in rows]


def receipt(core: Core, by: Principal, consent_id: str) -> str:
    with core.read(by, Permission.CONSENT_READ) as reading:
        return str(find(reading.connection, reading.tenant, consent_id)["receipt"])


def record(core: Core, by: Principal, *, voice_id: str, agreed: ConsentTerms) -> RecordedConsent:
    with core.write(by, Permission.CONSENT_RECORD) as writing:
        agreed = terms.checked(agreed, writing.now)
        voice = records.find(writing.connection, writing.tenant, voice_id)
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
        leaf = writing.log.append("consent.recorded", by=by.key_id, **_told(writing, consent))
        recorded = _with_receipt(core, writing, consent, _history(writing, consent), leaf)
        writing.connection.execute(
            insert(consents_table),
            {
                "consent_id": consent.consent_id,
                "tenant": writing.tenant,
                "voice_id": voice_id,
                "subject_id": consent.subject_id,
                "version": 1,
                "state": "live",
                "terms": terms.to_json(agreed),
                "token_sha256": access.digest_of(recorded.consent_token),
                "recorded_at": writing.now,
                "revoked_reason": "",
                "receipt": recorded.receipt,
                "evidence": dict(consent.evidence),
            },
        )
        _keep_version(writing, recorded)
        return recorded


def narrow(core: Core, by: Principal, consent_id: str, wanted: Narrowing) -> RecordedConsent:
    """A new version within the terms of the old, a new token and receipt. What was made for what is lost is
    withdrawn."""
    with core.write(by, Permission.CONSENT_RECORD) as writing:
        before = to_consent(find(writing.connection, writing.tenant, consent_id))
        if before.state != "live":
            raise Conflict("the consent was withdrawn", code="consent_revoked")
        remaining = narrowed(before.terms, wanted, writing.now)
        after = replace(before, version=before.version + 1, terms=remaining)
        withdrawn = _withdraw_clips(writing, consent_id, _lost(writing.connection, before, remaining))
        _raise_epoch(writing, after, NARROWED)
        leaf = writing.log.append("consent.narrowed", by=by.key_id, clips=withdrawn, **_told(writing, after))
        history = [*_history(writing, before), receipts.Event("narrowed", writing.now, receipts.CONTROLLER)]
        recorded = _with_receipt(core, writing, after, history, leaf)
        _change(
            writing,
            consent_id,
            version=after.version,
            terms=terms.to_json(after.terms),
            token_sha256=access.digest_of(recorded.consent_token),
            receipt=recorded.receipt,
        )
        _keep_version(writing, recorded)
        return recorded


def clips_lost(core: Core, by: Principal, consent_id: str, wanted: Narrowing) -> int:
    """How many live clips a narrowing would withdraw. Raises as `narrow`; changes nothing."""
    with core.read(by, Permission.CONSENT_RECORD) as reading:
        before = to_consent(find(reading.connection, reading.tenant, consent_id))
        remaining = narrowed(before.terms, wanted, reading.now)
        lost = _lost(reading.connection, before, remaining)
        query = select(func.count()).select_from(clips).where(_live(reading.tenant, consent_id), lost)
        return int(reading.connection.execute(query).scalar_one())


def revoke(
    core: Core, by: Principal, consent_id: str, reason: str, *, subject_id: str | None = None
) -> Revocation:
    """Consent, voice epoch, feed, clips, receipt and audit entry: together or not at all. With `subject_id` it is the
    person who withdraws, and reaches no consent but their own."""
    reason = require_name(reason, "a reason", 500)
    right = Permission.CONSENT_REVOKE if subject_id is None else Permission.OWN_REVOKE
    with core.write(by, right) as writing:
        consent = to_consent(find(writing.connection, writing.tenant, consent_id))
        if subject_id is not None and consent.subject_id != subject_id:
            raise NotFound("no such consent", code="consent_unknown")
        if consent.state != "live":
            raise Conflict("the consent was withdrawn before", code="consent_revoked")
        withdrawn = _withdraw_clips(writing, consent_id)
        revocation = _raise_epoch(writing, consent, reason)
        leaf = writing.log.append(
            "consent.revoked",
            by=by.key_id,
            by_subject=subject_id,
            consent=consent_id,
            version=consent.version,
            voice=consent.voice_id,
            epoch=revocation.voice_epoch,
            clips=withdrawn,
            reason=writing.log.commit_to(consent_id, "revoked", reason),
        )
        end(core, writing, by, consent, reason, leaf)
        return revocation


def end(core: Core, writing: Writing, by: Principal, consent: Consent, reason: str, leaf: int) -> None:
    """A live consent's state, and the receipt that says so. leaf: where the log tells of the withdrawal."""
    ended = replace(consent, state="revoked", revoked_at=writing.now, revoked_reason=reason)
    # Whether it is the person who ends it, the ledger's row of the key says, and not the caller.
    caller = access.reload(writing.connection, by, writing.now)
    who = receipts.CONTROLLER if caller.subject_id is None else receipts.PERSON
    history = [*_history(writing, ended), receipts.Event("withdrawn", writing.now, who)]
    _change(
        writing,
        ended.consent_id,
        state="revoked",
        revoked_at=ended.revoked_at,
        revoked_reason=ended.revoked_reason,
        receipt=_receipt(core, writing, ended, history, leaf),
    )


def _lost(connection: Connection, before: Consent, remaining: ConsentTerms) -> Any:
    """Which clips a narrowing takes along: those of the lost purposes; all of them when an axis shrinks that a clip's
    record does not tell."""
    if leaves_clips_untold(before.terms, remaining):
        return True
    made_for = _clip_purposes(connection, before.tenant, before.consent_id)
    return clips.c.purpose.in_([p for p in made_for if not purposes.any_covers(remaining.purposes, p)])


def _raise_epoch(writing: Writing, consent: Consent, reason: str) -> Revocation:
    epoch = int(records.find(writing.connection, writing.tenant, consent.voice_id)["epoch"]) + 1
    records.change(writing, consent.voice_id, epoch=epoch)
    return writing.publish_revocation(consent.voice_id, epoch, consent.consent_id, reason)


def _withdraw_clips(writing: Writing, consent_id: str, only: Any = True) -> int:
    ends = update(clips).where(_live(writing.tenant, consent_id), only).values(state="withdrawn")
    return writing.connection.execute(ends).rowcount


def _live(tenant: str, consent_id: str) -> ColumnElement[bool]:
    return (clips.c.tenant == tenant) & (clips.c.consent_id == consent_id) & (clips.c.state == "live")


def _clip_purposes(connection: Connection, tenant: str, consent_id: str) -> list[str]:
    query = select(clips.c.purpose).distinct()
    rows = connection.execute(query.where(clips.c.tenant == tenant, clips.c.consent_id == consent_id))
    return [row.purpose for row in rows]


def _change(writing: Writing, consent_id: str, **values: Any) -> None:
    mine = (consents_table.c.tenant == writing.tenant) & (consents_table.c.consent_id == consent_id)
    writing.connection.execute(update(consents_table).where(mine).values(**values))


def _told(writing: Writing, consent: Consent) -> dict[str, Any]:
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


def _evidence(writing: Writing, voice: RowMapping, agreed: ConsentTerms) -> dict[str, Any]:
    """How it is known that this person agreed to this: what their statements prove, under one digest."""
    proved = evidence.evidence_for(writing.connection, voice, agreed.grantee, agreed.purposes)
    person = (subjects.c.tenant == writing.tenant) & (subjects.c.subject_id == voice["subject_id"])
    confirmed = writing.connection.execute(select(subjects.c.contact_confirmed_at).where(person)).scalar()
    proved |= {"contact_confirmed_at": confirmed}
    return {**proved, "digest": sha256(rfc8785.dumps(proved)).hexdigest()}


def _history(writing: Writing, consent: Consent) -> list[receipts.Event]:
    """What happened to a consent so far, by the versions that are kept of it."""
    narrowed_later = (
        (consent_versions.c.tenant == writing.tenant)
        & (consent_versions.c.consent_id == consent.consent_id)
        & (consent_versions.c.version > 1)
    )
    query = select(consent_versions.c.recorded_at).where(narrowed_later).order_by(consent_versions.c.version)
    given = receipts.Event("given", consent.recorded_at, receipts.PERSON)
    steps = writing.connection.execute(query).scalars()
    return [given, *(receipts.Event("narrowed", at, receipts.CONTROLLER) for at in steps)]


def _with_receipt(
    core: Core, writing: Writing, consent: Consent, history: list[receipts.Event], leaf: int
) -> RecordedConsent:
    receipt = _receipt(core, writing, consent, history, leaf)
    return RecordedConsent(consent, receipt, f"vct_{secrets.token_urlsafe(32)}")


def _receipt(core: Core, writing: Writing, consent: Consent, history: list[receipts.Event], leaf: int) -> str:
    """Signed before the commit, and shown only after it: it lies in the same transaction."""
    place = receipts.Place(leaf, core.checkpoint(writing.tenant, writing.log.tree))
    body = receipts.body(core.config, consent, history, place, writing.now)
    return sign_receipt(body, lambda message: core.keys.sign(KeyPurpose.RECEIPT, message))


def _keep_version(writing: Writing, recorded: RecordedConsent) -> None:
    consent = recorded.consent
    writing.connection.execute(
        insert(consent_versions),
        {
            "consent_id": consent.consent_id,
            "version": consent.version,
            "tenant": writing.tenant,
            "terms": terms.to_json(consent.terms),
            "receipt": recorded.receipt,
            "recorded_at": writing.now,
        },
    )
