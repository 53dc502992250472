"""The records of consents: rows, versions and receipts. A consent changes in one transaction with its receipt and its
audit entry.

A withdrawal is immediate and cannot be undone. It raises the voice's epoch, which kills every grant that is
out for the voice; other consents of the voice stay live, and whoever speaks under one of them asks the gate
again.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, insert, select, update

from consent_service import access
from consent_service.access import Permission
from consent_service.consents import receipts
from consent_service.core import Core, WriteTransaction
from consent_service.errors import Conflict, NotFound
from consent_service.ids import require_name
from consent_service.ledger.rows import find_row, from_row, rows_of
from consent_service.ledger.tables import clips, consent_versions
from consent_service.ledger.tables import consents as consents_table
from consent_service.models import Consent, Principal, RecordedConsent, Revocation
from consent_service.policy import terms
from consent_service.proofs.receipt import sign_receipt
from consent_service.proofs.records import KeyPurpose
from consent_service.voices import records as voices


def to_consent(row: RowMapping) -> Consent:
    return from_row(Consent, row, terms=terms.from_json(row["terms"]), evidence=row["evidence"] or {})


def find(connection: Connection, tenant: str, consent_id: str) -> RowMapping:
    """The row of a consent. Raises NotFound, for one of another tenant too."""
    row = find_row(connection, consents_table, tenant, consent_id=consent_id)
    if row is None:
        raise NotFound("no such consent", code="consent_unknown")
    return row


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
        withdrawn = withdraw_clips(writing, consent_id)
        revocation = raise_epoch(writing, consent, reason)
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


def end(
    core: Core, writing: WriteTransaction, by: Principal, consent: Consent, reason: str, leaf: int
) -> None:
    """A live consent's state, and the receipt that says so. leaf: where the log tells of the withdrawal."""
    ended = replace(consent, state="revoked", revoked_at=writing.now, revoked_reason=reason)
    # Whether it is the person who ends it, the ledger's row of the key says, and not the caller.
    caller = access.reload(writing.connection, by, writing.now)
    who = receipts.CONTROLLER if caller.subject_id is None else receipts.PERSON
    steps = [*history(writing, ended), receipts.Event("withdrawn", writing.now, who)]
    change(
        writing,
        ended.consent_id,
        state="revoked",
        revoked_at=ended.revoked_at,
        revoked_reason=ended.revoked_reason,
        receipt=_receipt(core, writing, ended, steps, leaf),
    )


def raise_epoch(writing: WriteTransaction, consent: Consent, reason: str) -> Revocation:
    """Kill every grant that is out for the voice, and tell the feed why."""
    epoch = int(voices.find(writing.connection, writing.tenant, consent.voice_id)["epoch"]) + 1
    voices.change(writing, consent.voice_id, epoch=epoch)
    return writing.publish_revocation(consent.voice_id, epoch, consent.consent_id, reason)


def withdraw_clips(writing: WriteTransaction, consent_id: str, only: Any = True) -> int:
    """Live clips of a consent, or those of them that a condition names. Returns how many."""
    ends = update(clips).where(live_clips(writing.tenant, consent_id), only).values(state="withdrawn")
    return writing.connection.execute(ends).rowcount


def live_clips(tenant: str, consent_id: str) -> ColumnElement[bool]:
    return rows_of(clips, tenant, consent_id=consent_id, state="live")


def change(writing: WriteTransaction, consent_id: str, **values: Any) -> None:
    where_row = rows_of(consents_table, writing.tenant, consent_id=consent_id)
    writing.connection.execute(update(consents_table).where(where_row).values(**values))


def history(writing: WriteTransaction, consent: Consent) -> list[receipts.Event]:
    """What happened to a consent so far, by the versions that are kept of it."""
    narrowed_later = rows_of(consent_versions, writing.tenant, consent_id=consent.consent_id) & (
        consent_versions.c.version > 1
    )
    query = select(consent_versions.c.recorded_at).where(narrowed_later).order_by(consent_versions.c.version)
    given = receipts.Event("given", consent.recorded_at, receipts.PERSON)
    steps = writing.connection.execute(query).scalars()
    return [given, *(receipts.Event("narrowed", at, receipts.CONTROLLER) for at in steps)]


def with_receipt(
    core: Core, writing: WriteTransaction, consent: Consent, steps: list[receipts.Event], leaf: int
) -> RecordedConsent:
    """A consent as it stands from now on, its receipt, and a new token."""
    receipt = _receipt(core, writing, consent, steps, leaf)
    return RecordedConsent(consent, receipt, f"vct_{secrets.token_urlsafe(32)}")


def _receipt(
    core: Core, writing: WriteTransaction, consent: Consent, steps: list[receipts.Event], leaf: int
) -> str:
    """Signed before the commit, and shown only after it: it lies in the same transaction."""
    place = receipts.Place(leaf, core.checkpoint(writing.tenant, writing.log.tree))
    body = receipts.body(core.config, consent, steps, place, writing.now)
    return sign_receipt(body, lambda message: core.keys.sign(KeyPurpose.RECEIPT, message))


def keep_version(writing: WriteTransaction, recorded: RecordedConsent) -> None:
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
