"""A further statement of a voice that is enrolled: for another grantee, or another purpose.

The same challenge, the same examination; what it is compared with is the reference that is sealed. To be compared
the reference is read, and reading it is audited first, whoever does it and why.
"""

from __future__ import annotations

from sqlalchemy import RowMapping, select

from consent_service.access import Permission
from consent_service.core import Core, WriteTransaction
from consent_service.errors import Conflict, RecordingRejected
from consent_service.examination.examiner import Examiner
from consent_service.examination.recordings import Recording, read_part, read_recording
from consent_service.ids import require_name
from consent_service.ledger.engine import fail_closed
from consent_service.ledger.rows import rows_of
from consent_service.ledger.tables import enrolments
from consent_service.models import Challenge, Principal
from consent_service.vault.sealing import unpack_reference
from consent_service.voices import challenges, records


class Statements:
    """Further statements of a voice."""

    def __init__(self, core: Core, examiner: Examiner) -> None:
        self._core, self._examiner = core, examiner

    def begin(self, by: Principal, voice_id: str, *, grantee: str, purpose: str) -> Challenge:
        """A further statement of an active voice, for a grantee or purpose that its enrolment does not cover."""
        grantee = challenges.require_use(grantee, purpose)
        with self._core.write(by, Permission.VOICE_ENROL) as writing:
            voice = _active(writing, voice_id)
            name = challenges.subject_name(writing.connection, voice)
            row = challenges.ask(
                writing,
                by,
                kind="statement",
                voice_id=voice_id,
                language=voice["language"],
                grantee=grantee,
                purpose=purpose,
            )
            writing.log.append(
                "voice.statement_begun",
                by=by.key_id,
                enrolment=row["enrolment_id"],
                voice=voice_id,
                purpose=purpose,
                grantee=writing.log.commit_to(row["enrolment_id"], "grantee", grantee),
            )
        self._examiner.warm_up()
        return challenges.to_challenge(row, voice["language"], name)

    def complete(self, by: Principal, statement_id: str, *, statement: bytes, note: str = "") -> bool:
        """Examine the recorded statement, compare it with the sealed reference, and seal it. True: it counts at
        once; False: it waits for `review`. Raises like `complete_enrolment`, and Conflict
        (statement_in_review) while another one waits."""
        heard = read_part(statement, "statement")
        note = require_name(note, "a note", 500) if note else ""
        with self._core.write(by, Permission.VOICE_ENROL) as writing:
            row = challenges.answerable(
                writing.connection, writing.tenant, statement_id, "statement", writing.now
            )
            asked = challenges.to_asked(writing.connection, row)
            voice = _active(writing, row["voice_id"])
            writing.log.append(
                "voice.reference_read",
                by=by.key_id,
                voice=row["voice_id"],
                enrolment=statement_id,
                why="compared with a statement",
            )
        try:
            examined = self._examiner.examine(
                asked, reference=_sealed(self._core, voice["tenant"], voice["voice_id"], voice["prompt_digest"]),
                statement=heard, files=(statement,),
            )  # fmt: skip
        except RecordingRejected as refused:
            with self._core.write(by, Permission.VOICE_ENROL) as writing:
                if challenges.find(writing.connection, writing.tenant, statement_id)["state"] == "pending":
                    challenges.reject(writing, by, row, refused)
            raise
        doubtful = self._examiner.reviews_always or bool(examined.doubts)
        with self._core.write(by, Permission.VOICE_ENROL) as writing:
            row = challenges.find(writing.connection, writing.tenant, statement_id)
            challenges.require_pending(row)
            _active(writing, row["voice_id"])
            if doubtful and _in_review(writing, row["voice_id"]):
                raise Conflict(
                    "another statement of this voice waits for its reviewer; let it be decided first",
                    code="statement_in_review",
                )
            told = challenges.answer(
                self._core, writing, by, row, examined, statement, note, doubtful=doubtful
            )
            writing.log.append(
                "voice.statement_given", by=by.key_id, enrolment=statement_id, voice=row["voice_id"], **told
            )
        return not doubtful


def _active(writing: WriteTransaction, voice_id: str) -> RowMapping:
    voice = records.find(writing.connection, writing.tenant, voice_id)
    if voice["state"] != "active" or voice["kind"] != "cloned":
        raise Conflict("a statement is of an approved voice of a person", code="voice_not_active")
    return voice


def _in_review(writing: WriteTransaction, voice_id: str) -> bool:
    waiting = rows_of(enrolments, writing.tenant, voice_id=voice_id, state="review")
    return writing.connection.execute(select(enrolments.c.enrolment_id).where(waiting)).first() is not None


def _sealed(core: Core, tenant: str, voice_id: str, digest: str) -> Recording:
    with fail_closed():
        packed = core.vault.open(tenant, voice_id, "reference", digest)
    return read_recording(unpack_reference(packed)[0])
