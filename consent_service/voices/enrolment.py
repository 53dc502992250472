"""How a person's voice comes in: a challenge, two recordings, their examination, and mostly the ears of a second
person.

What an enrolment proves is one sentence: this voice said that this grantee may use it for this purpose. Another
grantee or purpose needs another statement (`statements`), compared with the voice that is sealed. A challenge is
answered once, within ten minutes; recordings of bad quality leave it open, recordings of someone else or of a
machine end it.
"""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import RowMapping, insert

from consent_service.access import Permission
from consent_service.core import Core
from consent_service.errors import RecordingRejected
from consent_service.examination.examiner import Examiner
from consent_service.examination.recordings import read_part
from consent_service.ids import new_id, require_name
from consent_service.ledger import tables
from consent_service.ledger.tables import subjects
from consent_service.models import Challenge, ContactState, EnrolmentAnswer, Principal, Voice
from consent_service.policy.languages import require_language
from consent_service.vault.sealing import pack_reference
from consent_service.voices import challenges, records


class Contacts(Protocol):
    """How the person is reached (`subjects.service`, which stands above this package)."""

    def require_contact(self, contact: str) -> str:
        """Raises InvalidInput (contact_invalid)."""
        ...

    def propose_contact(self, by: Principal, voice_id: str, contact: str) -> ContactState: ...


class Enrolments:
    """How voices of people come in."""

    def __init__(self, core: Core, examiner: Examiner, contacts: Contacts) -> None:
        self._core, self._examiner, self._contacts = core, examiner, contacts

    def begin(
        self,
        by: Principal,
        *,
        name: str,
        language: str,
        grantee: str,
        purpose: str,
        subject_name: str,
        contact: str = "",
    ) -> Challenge:
        """Open an enrolment; the person reads `Challenge.sentence` aloud within ten minutes. Needs VOICE_ADMIN.
        What they say covers this grantee and this purpose; for another, see `begin_statement`. `contact`: their e-mail
        address, to which a link goes (`propose_contact`)."""
        if contact:
            self._contacts.require_contact(contact)
        require_language(language)
        name = require_name(name, "a voice's name")
        subject_name = require_name(subject_name, "a person's name")
        grantee = challenges.require_use(grantee, purpose)
        with self._core.write(by, Permission.VOICE_ENROL) as writing:
            voice_id, subject_id = new_id("voice"), new_id("subject")
            subject = {"subject_id": subject_id, "tenant": writing.tenant, "name": subject_name}
            writing.connection.execute(insert(subjects), subject)
            voice = {
                "voice_id": voice_id,
                "tenant": writing.tenant,
                "name": name,
                "kind": "cloned",
                "state": "enrolling",
                "epoch": 1,
                "language": language,
                "created_at": writing.now,
                "prompt_digest": "",
                "subject_id": subject_id,
            }
            writing.connection.execute(insert(tables.voices), voice)
            row = challenges.ask(
                writing,
                by,
                kind="enrolment",
                voice_id=voice_id,
                language=language,
                grantee=grantee,
                purpose=purpose,
            )
            writing.log.append(
                "voice.enrolment_begun",
                by=by.key_id,
                enrolment=row["enrolment_id"],
                voice=voice_id,
                language=language,
                purpose=purpose,
                grantee=writing.log.commit_to(row["enrolment_id"], "grantee", grantee),
                subject=subject_id,
                subject_name=writing.log.commit_to(subject_id, "name", subject_name),
                name=writing.log.commit_to(voice_id, "name", name),
            )
        self._examiner.warm_up()
        if contact:
            self._contacts.propose_contact(by, voice_id, contact)
        return challenges.to_challenge(row, language, subject_name)

    def complete(self, by: Principal, enrolment_id: str, answer: EnrolmentAnswer) -> Voice:
        """Examine both recordings and seal them. The voice then waits in state "review"; it is "active" at once only
        where the configuration says so and nothing was in doubt.

        Raises RecordingRejected: recording_unreadable, recording_too_short (<3 s), recording_too_long (>60 s),
        recording_silent, recording_clipped, recording_no_speech or recording_too_quiet leave the challenge open;
        speaker_mismatch and recording_synthetic end it. InvalidInput (transcript_missing); Conflict
        (enrolment_expired, enrolment_completed); ExaminationUnavailable: nothing was enrolled, try again."""
        text, sample = records.require_transcript(answer.transcript), read_part(answer.reference, "reference")
        # The statement is evidence: it is checked like a sample, and kept byte for byte as it came.
        statement_audio = read_part(answer.statement, "statement")
        note = require_name(answer.note, "a note", 500) if answer.note else ""
        with self._core.read(by, Permission.VOICE_ENROL) as reading:
            row = challenges.answerable(
                reading.connection, reading.tenant, enrolment_id, "enrolment", reading.now
            )
            asked = challenges.to_asked(reading.connection, row)
        try:
            # No transaction waits for an examiner.
            examined = self._examiner.examine(
                asked, reference=sample, statement=statement_audio, files=(answer.reference, answer.statement)
            )
        except RecordingRejected as refused:
            self._turn_away(by, row, refused)
            raise
        doubtful = self._examiner.reviews_always or bool(examined.doubts)
        with self._core.write(by, Permission.VOICE_ENROL) as writing:
            row = challenges.find(writing.connection, writing.tenant, enrolment_id)
            voice_id = str(row["voice_id"])
            records.require_state(writing.connection, writing.tenant, voice_id, "enrolling")
            challenges.require_pending(row)
            # A crash before the commit leaves ciphertext that no row names; the next try replaces key and files.
            self._core.vault.create_key(writing.tenant, voice_id)
            prompt_digest = self._core.vault.store(
                writing.tenant, voice_id, "reference", pack_reference(sample.wav, text), origin=enrolment_id
            )
            log_fields = challenges.answer(
                self._core, writing, by, row, examined, answer.statement, note, doubtful=doubtful
            )
            writing.log.append(
                "voice.enrolled",
                by=by.key_id,
                enrolment=enrolment_id,
                voice=voice_id,
                reference=prompt_digest,
                seconds=round(sample.seconds, 3),
                **log_fields,
            )
            state = "review" if doubtful else "active"
            return records.change(writing, voice_id, state=state, prompt_digest=prompt_digest)

    def doubts(self, by: Principal, enrolment_id: str) -> tuple[str, ...]:
        """Why a reviewer must look at an enrolment or a further statement: codes of `examination.findings.DOUBTS`; ()
        before it is complete. Needs VOICE_ENROL."""
        with self._core.read(by, Permission.VOICE_ENROL) as reading:
            row = challenges.find(reading.connection, reading.tenant, enrolment_id)
            return tuple((row["evidence"] or {}).get("doubts", ()))

    def _turn_away(self, by: Principal, row: RowMapping, refused: RecordingRejected) -> None:
        with self._core.write(by, Permission.VOICE_ENROL) as writing:
            if challenges.find(writing.connection, writing.tenant, row["enrolment_id"])["state"] == "pending":
                records.require_state(writing.connection, writing.tenant, row["voice_id"], "enrolling")
                challenges.reject(writing, by, row, refused)
                records.change(writing, row["voice_id"], state="refused")
