"""Challenges in the ledger: asked, answered, turned away. One row each, of an enrolment or of a further statement."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import rfc8785
from sqlalchemy import Connection, RowMapping, insert, select, update

from consent_service.core import Core, WriteTransaction
from consent_service.errors import Conflict, InvalidInput, NotFound, RecordingRejected
from consent_service.examination.challenge.sentences import WORDING, sentence
from consent_service.examination.challenge.words import draw
from consent_service.examination.findings import Examined
from consent_service.examination.transcript import Asked
from consent_service.ids import new_id, require_name
from consent_service.ledger.rows import find_row, rows_of
from consent_service.ledger.tables import enrolments, subjects
from consent_service.models import Challenge, Principal
from consent_service.policy import purposes
from consent_service.voices import records

CHALLENGE_LIFETIME_S: Final = 600.0


def ask(
    writing: WriteTransaction,
    by: Principal,
    *,
    kind: str,
    voice_id: str,
    language: str,
    grantee: str,
    purpose: str,
) -> dict[str, Any]:
    """A row that waits for its answer. The sentence itself, which holds the person's name, is not stored."""
    row = {
        "enrolment_id": new_id("enrolment" if kind == "enrolment" else "statement"),
        "tenant": writing.tenant,
        "voice_id": voice_id,
        "kind": kind,
        "enrolled_by": by.key_id,
        "state": "pending",
        "expires_at": writing.now + CHALLENGE_LIFETIME_S,
        "statement_digest": "",
        "note": "",
        "nonce": draw(language),
        "grantee": grantee,
        "purpose": purpose,
    }
    writing.connection.execute(insert(enrolments), row)
    return row


def require_use(grantee: str, purpose: str) -> str:
    """The grantee, trimmed. Raises InvalidInput (purpose_unknown, name_invalid)."""
    if not purposes.is_known(purpose):
        raise InvalidInput("the purpose is not one of the known terms", code="purpose_unknown")
    return require_name(grantee, "a grantee")


def to_challenge(row: Mapping[str, Any], language: str, subject: str) -> Challenge:
    words = sentence(
        language, subject=subject, grantee=row["grantee"], purpose=row["purpose"], nonce=row["nonce"]
    )
    return Challenge(row["enrolment_id"], row["voice_id"], words, language, row["expires_at"])


def to_asked(connection: Connection, row: RowMapping) -> Asked:
    """What was asked, put together again from what the ledger keeps of it."""
    voice = records.find(connection, row["tenant"], row["voice_id"])
    language, name = voice["language"], subject_name(connection, voice)
    return Asked(language, row["purpose"], row["nonce"], to_challenge(dict(row), language, name).sentence)


def subject_name(connection: Connection, voice: RowMapping) -> str:
    """Of the person behind a voice."""
    person = rows_of(subjects, voice["tenant"], subject_id=voice["subject_id"])
    return str(connection.execute(select(subjects.c.name).where(person)).scalar_one())


def find(connection: Connection, tenant: str, enrolment_id: str) -> RowMapping:
    row = find_row(connection, enrolments, tenant, enrolment_id=enrolment_id)
    if row is None:
        raise NotFound("no such enrolment", code="enrolment_unknown")
    return row


def answerable(connection: Connection, tenant: str, enrolment_id: str, kind: str, now: float) -> RowMapping:
    """The row of a challenge that may be answered now."""
    row = find(connection, tenant, enrolment_id)
    if row["kind"] != kind:
        raise NotFound("no such enrolment", code="enrolment_unknown")
    require_pending(row)
    if now > row["expires_at"]:
        raise Conflict("the challenge has expired; begin again", code="enrolment_expired")
    return row


def require_pending(row: RowMapping) -> None:
    if row["state"] != "pending":
        raise Conflict("this challenge was answered before; begin again", code="enrolment_completed")


def answer(
    core: Core,
    writing: WriteTransaction,
    by: Principal,
    row: RowMapping,
    examined: Examined,
    statement: bytes,
    note: str,
    *,
    doubtful: bool,
) -> dict[str, Any]:
    """Seal the statement and keep what was found. Returns what the log's entry says of it."""
    enrolment_id, voice_id = row["enrolment_id"], row["voice_id"]
    digest = core.vault.store(writing.tenant, voice_id, statement_object(row), statement, origin=enrolment_id)
    evidence = {
        **examined.evidence(),
        "wording": WORDING,
        "asked_by": row["enrolled_by"],
        "answered_by": by.key_id,
        "review": "a person" if doubtful else "none was needed",
    }
    decided = {"state": "review"} if doubtful else {"state": "approved", "approved_at": writing.now}
    advance(writing, row, statement_digest=digest, note=note, evidence=evidence, **decided)
    return {
        "statement": digest,
        "evidence": sha256(rfc8785.dumps(evidence)).hexdigest(),
        "doubts": list(examined.doubts),
        "review": doubtful,
        "note": writing.log.commit_to(enrolment_id, "note", note) if note else None,
    }


def statement_object(row: RowMapping) -> str:
    """What the vault calls the recorded statement."""
    return "statement" if row["kind"] == "enrolment" else f"statement.{row['enrolment_id']}"


def advance(writing: WriteTransaction, row: RowMapping, **values: Any) -> None:
    where_row = rows_of(enrolments, writing.tenant, enrolment_id=row["enrolment_id"])
    writing.connection.execute(update(enrolments).where(where_row).values(**values))


def reject(writing: WriteTransaction, by: Principal, row: RowMapping, refused: RecordingRejected) -> None:
    """A recording of someone else, or of a machine: the challenge is used up, and the log tells why."""
    advance(writing, row, state="refused")
    writing.log.append(
        f"voice.{row['kind']}_rejected",
        by=by.key_id,
        enrolment=row["enrolment_id"],
        voice=row["voice_id"],
        code=refused.code,
    )
