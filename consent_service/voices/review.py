"""The reviewer's part: what waits, what was recorded, and the decision. Never by the hand that enrolled.

A reviewer hears recordings while they decide, and no longer; each time is in the log before a byte of it leaves the
vault. Refusing a voice destroys what was recorded; refusing a further statement leaves the voice as it was.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection, RowMapping, select

from consent_service import access
from consent_service.access import Permission
from consent_service.core import Core, WriteTransaction
from consent_service.errors import Conflict, InvalidInput, PermissionDenied
from consent_service.examination.recordings import read_recording
from consent_service.ids import require_name
from consent_service.ledger.engine import fail_closed
from consent_service.ledger.rows import rows_of
from consent_service.ledger.tables import enrolments
from consent_service.models import Principal, UnderReview, Voice
from consent_service.vault.sealing import unpack_reference
from consent_service.voices import challenges, records

Part = Literal["statement", "reference"]


class Reviews:
    """What a reviewer does."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def under_review(self, by: Principal, voice_id: str) -> UnderReview:
        """What waits for a reviewer's decision about this voice. Raises Conflict (voice_not_in_review)."""
        with self._core.read(by, Permission.VOICE_REVIEW) as reading:
            row = _waiting(reading.connection, reading.tenant, voice_id)
            asked = challenges.to_asked(reading.connection, row)
            return UnderReview(
                voice_id=voice_id,
                enrolment_id=row["enrolment_id"],
                kind=row["kind"],
                language=asked.language,
                sentence=asked.sentence,
                grantee=row["grantee"],
                purpose=row["purpose"],
                evidence=row["evidence"] or {},
                note=row["note"],
            )

    def open_statement(self, by: Principal, voice_id: str, part: Part = "statement") -> bytes:
        """What a reviewer must hear, as a WAV file, while it waits for their decision; audited before it is read.
        It must not reach a disk, a log or an object store unsealed. Needs REVIEWER."""
        if part not in ("statement", "reference"):
            raise InvalidInput("a reviewer hears the statement or the reference")
        with self._core.write(by, Permission.VOICE_REVIEW) as writing:
            row = _waiting(writing.connection, writing.tenant, voice_id)
            voice = records.find(writing.connection, writing.tenant, voice_id)
            writing.log.append(
                f"voice.{part}_read",
                by=by.key_id,
                voice=voice_id,
                enrolment=row["enrolment_id"],
                why="heard by a reviewer",
            )
        with fail_closed():
            if part == "reference":
                packed = self._core.vault.open(by.tenant, voice_id, "reference", voice["prompt_digest"])
                return unpack_reference(packed)[0]
            kept = self._core.vault.open(
                by.tenant, voice_id, challenges.statement_object(row), row["statement_digest"]
            )
        return read_recording(kept).wav

    def decide(self, by: Principal, voice_id: str, *, approve: bool, note: str = "") -> Voice:
        """Decide on the enrolment, or the further statement, that waits. By a REVIEWER whose key neither began nor
        completed it: else PermissionDenied (reviewer_is_enroller)."""
        note = require_name(note, "a note", 500) if note else ""
        with self._core.write(by, Permission.VOICE_REVIEW) as writing:
            voice = records.find(writing.connection, writing.tenant, voice_id)
            row = _waiting(writing.connection, writing.tenant, voice_id)
            first = row["kind"] == "enrolment"
            records.require_state(
                writing.connection, writing.tenant, voice_id, "review" if first else "active"
            )
            evidence = dict(row["evidence"] or {})
            enrollers = {row["enrolled_by"], evidence.get("asked_by"), evidence.get("answered_by")}
            if by.key_id in enrollers:
                raise PermissionDenied(
                    "another person must review what you enrolled", code="reviewer_is_enroller"
                )
            makers = access.lineage(writing.connection, writing.tenant, by.key_id)
            independent = _is_independent(writing, by, makers, enrollers)
            if self._core.config.review_independent and not independent:
                raise PermissionDenied(
                    "your key and one that enrolled this voice were made one by the other; somebody whose key is "
                    "independent must review it",
                    code="reviewer_is_enroller",
                )
            # A key is no person: the evidence tells whose the reviewer's is, and on whom it depends.
            evidence |= {
                "reviewed_by": by.key_id,
                "reviewer_key_created_by": makers[0] if makers else None,
                "reviewer_independent": independent,
            }
            decided_as = (
                {"state": "approved", "approved_at": writing.now} if approve else {"state": "refused"}
            )
            challenges.advance(writing, row, evidence=evidence, **decided_as)
            told = "voice" if first else "voice.statement"
            writing.log.append(
                f"{told}.approved" if approve else f"{told}.refused",
                by=by.key_id,
                voice=voice_id,
                enrolment=row["enrolment_id"],
                note=writing.log.commit_to(row["enrolment_id"], "review", note) if note else None,
            )
            if not first:
                return records.to_voice(voice)
            decided = records.change(writing, voice_id, state="active" if approve else "refused")
        if not approve:
            self._core.vault.destroy(by.tenant, voice_id)
        return decided


def _is_independent(writing: WriteTransaction, by: Principal, makers: list[str], enrollers: set[str]) -> bool:
    """Whether neither the reviewer's key nor one that enrolled was made, at any remove, by the other."""
    made = any(
        by.key_id in access.lineage(writing.connection, writing.tenant, key) for key in enrollers if key
    )
    return not made and enrollers.isdisjoint(makers)


def _waiting(connection: Connection, tenant: str, voice_id: str) -> RowMapping:
    """The one challenge of a voice that waits for its reviewer. Raises NotFound, or Conflict when none waits."""
    records.find(connection, tenant, voice_id)
    where_row = rows_of(enrolments, tenant, voice_id=voice_id, state="review")
    row = connection.execute(select(enrolments).where(where_row)).mappings().first()
    if row is None:
        raise Conflict("this voice is not waiting for review", code="voice_not_in_review")
    return row
