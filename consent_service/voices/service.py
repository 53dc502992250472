"""Voices: enrolment, further statements, review, designed voices."""

from __future__ import annotations

from typing import Literal, Protocol

from consent_service.core import Core
from consent_service.examination.examiner import Examiner
from consent_service.models import Challenge, ContactState, EnrolmentAnswer, Principal, UnderReview, Voice
from consent_service.voices import designed, enrolment, records, review, statements


class Contacts(Protocol):
    """How the person is reached (`subjects.service`, which stands above this package)."""

    def require_contact(self, contact: str) -> str:
        """Raises InvalidInput (contact_invalid)."""
        ...

    def propose_contact(self, by: Principal, voice_id: str, contact: str) -> ContactState: ...


class Voices:
    """`ConsentService.voices`. Thread-safe."""

    def __init__(self, core: Core, examiner: Examiner, contacts: Contacts) -> None:
        self._core, self._examiner, self._contacts = core, examiner, contacts

    def begin_enrolment(
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
        challenge = enrolment.begin(
            self._core,
            by,
            name=name,
            language=language,
            grantee=grantee,
            purpose=purpose,
            subject_name=subject_name,
        )
        self._examiner.warm_up()
        if contact:
            self._contacts.propose_contact(by, challenge.voice_id, contact)
        return challenge

    def complete_enrolment(
        self,
        by: Principal,
        enrolment_id: str,
        answer: EnrolmentAnswer,
    ) -> Voice:
        """Examine both recordings and seal them. The voice then waits in state "review"; it is
        "active" at once only where the configuration says so and nothing was in doubt.

        Raises RecordingRejected: recording_unreadable, recording_too_short (<3 s), recording_too_long (>60 s),
        recording_silent, recording_clipped, recording_no_speech or recording_too_quiet leave the challenge open;
        speaker_mismatch and recording_synthetic end it. InvalidInput (transcript_missing); Conflict
        (enrolment_expired, enrolment_completed); ExaminationUnavailable: nothing was enrolled, try again."""
        return enrolment.complete(self._core, self._examiner, by, enrolment_id, answer)

    def doubts(self, by: Principal, enrolment_id: str) -> tuple[str, ...]:
        """Why a reviewer must look at an enrolment or a further statement: codes of `examination.findings.DOUBTS`; ()
        before it is complete. Needs VOICE_ENROL."""
        return enrolment.doubts(self._core, by, enrolment_id)

    def begin_statement(self, by: Principal, voice_id: str, *, grantee: str, purpose: str) -> Challenge:
        """A further statement of an active voice, for a grantee or purpose that its enrolment does not cover."""
        challenge = statements.begin(self._core, by, voice_id, grantee=grantee, purpose=purpose)
        self._examiner.warm_up()
        return challenge

    def complete_statement(
        self, by: Principal, statement_id: str, *, statement: bytes, note: str = ""
    ) -> bool:
        """Examine the recorded statement, compare it with the sealed reference, and seal it. True: it counts at
        once; False: it waits for `review`. Raises like `complete_enrolment`, and Conflict
        (statement_in_review) while another one waits."""
        return statements.complete(
            self._core, self._examiner, by, statement_id, statement=statement, note=note
        )

    def under_review(self, by: Principal, voice_id: str) -> UnderReview:
        """What waits for a reviewer's decision about this voice. Raises Conflict (voice_not_in_review)."""
        return review.show(self._core, by, voice_id)

    def open_statement(
        self, by: Principal, voice_id: str, part: Literal["statement", "reference"] = "statement"
    ) -> bytes:
        """What a reviewer must hear, as a WAV file, while it waits for their decision; audited before it is read.
        It must not reach a disk, a log or an object store unsealed. Needs REVIEWER."""
        return review.listen(self._core, by, voice_id, part)

    def review(self, by: Principal, voice_id: str, *, approve: bool, note: str = "") -> Voice:
        """Decide on the enrolment, or the further statement, that waits. By a REVIEWER whose key neither began nor
        completed it: else PermissionDenied (reviewer_is_enroller)."""
        return review.decide(self._core, by, voice_id, approve=approve, note=note)

    def keep_designed(
        self, by: Principal, *, name: str, language: str, reference: bytes, transcript: str, clip_id: str
    ) -> Voice:
        """Keep a designed voice. Its reference must be a registered clip of basis "design" of this tenant that its
        replica answered for (`report_design`), unaltered, with our signed manifest in it; never an upload of anything
        else. Raises InvalidInput (reference_not_designed), ExaminationUnavailable."""
        return designed.keep(
            self._core,
            self._examiner,
            by,
            name=name,
            language=language,
            reference=reference,
            transcript=transcript,
            clip_id=clip_id,
        )

    def list_all(self, by: Principal) -> list[Voice]:
        """Every voice of the tenant, oldest first."""
        return records.list_voices(self._core, by)

    def get(self, by: Principal, voice_id: str) -> Voice:
        """Raises NotFound."""
        return records.show(self._core, by, voice_id)
