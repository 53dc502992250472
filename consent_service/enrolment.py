"""How a person's voice comes in: challenge, two recordings, and the eyes of a second person.

A voice speaks only after somebody else than its enroller has listened to the statement and approved. Refusing
destroys what was recorded.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, RowMapping, insert, select, update

from consent_service import purposes, voices
from consent_service.access import Permission
from consent_service.core import Core, Writing
from consent_service.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from consent_service.ids import new_id, require_name
from consent_service.languages import challenge_sentence, require_language
from consent_service.ledger import tables
from consent_service.ledger.tables import enrolments, subjects
from consent_service.models import Challenge, Principal, Voice
from consent_service.recordings import read_recording
from consent_service.sealing import pack_reference

CHALLENGE_LIFETIME_S: Final = 24 * 3600.0


def begin(
    core: Core, by: Principal, *, name: str, language: str, grantee: str, purpose: str, subject_name: str
) -> Challenge:
    """Open an enrolment and say what must be read aloud."""
    require_language(language)
    if not purposes.is_known(purpose):
        raise InvalidInput("the purpose is not one of the known terms", code="purpose_unknown")
    name, subject_name = require_name(name, "a voice's name"), require_name(subject_name, "a person's name")
    grantee = require_name(grantee, "a grantee")
    sentence = challenge_sentence(language, subject=subject_name, grantee=grantee, purpose=purpose)
    with core.write(by, Permission.VOICE_ENROL) as writing:
        challenge = Challenge(
            new_id("enrolment"), new_id("voice"), sentence, language, writing.now + CHALLENGE_LIFETIME_S
        )
        subject_id = new_id("subject")
        _insert(writing, by, challenge, name, subject_id, subject_name)
        writing.log.append(
            "voice.enrolment_begun",
            by=by.key_id,
            enrolment=challenge.enrolment_id,
            voice=challenge.voice_id,
            language=language,
            purpose=purpose,
            subject=subject_id,
            subject_name=writing.log.commit_to(subject_id, "name", subject_name),
            name=writing.log.commit_to(challenge.voice_id, "name", name),
        )
    return challenge


def complete(
    core: Core,
    by: Principal,
    enrolment_id: str,
    *,
    reference: bytes,
    transcript: str,
    statement: bytes,
    note: str,
) -> Voice:
    """Check and seal both recordings; the voice then waits for its reviewer."""
    text, sample = voices.require_transcript(transcript), read_recording(reference)
    # The statement is evidence: it is checked like a sample, and kept byte for byte as it came.
    read_recording(statement)
    note = require_name(note, "a note", 500) if note else ""
    with core.write(by, Permission.VOICE_ENROL) as writing:
        row = _find(writing.connection, writing.tenant, enrolment_id)
        if row["state"] != "pending":
            raise Conflict("this enrolment was completed before", code="enrolment_completed")
        if writing.now > row["expires_at"]:
            raise Conflict("the challenge has expired; begin a new enrolment", code="enrolment_expired")
        voice_id = str(row["voice_id"])
        # A crash before the commit leaves ciphertext that no row names; the next try replaces key and files.
        core.vault.create_key(writing.tenant, voice_id)
        packed = pack_reference(sample.wav, text)
        prompt_digest = core.vault.store(writing.tenant, voice_id, "reference", packed)
        statement_digest = core.vault.store(writing.tenant, voice_id, "statement", statement)
        _advance(
            writing, row, state="review", enrolled_by=by.key_id, statement_digest=statement_digest, note=note
        )
        writing.log.append(
            "voice.enrolled",
            by=by.key_id,
            enrolment=enrolment_id,
            voice=voice_id,
            reference=prompt_digest,
            statement=statement_digest,
            seconds=round(sample.seconds, 3),
            note=writing.log.commit_to(enrolment_id, "note", note) if note else None,
        )
        return voices.change(writing, voice_id, state="review", prompt_digest=prompt_digest)


def review(core: Core, by: Principal, voice_id: str, *, approve: bool, note: str) -> Voice:
    """Approve or refuse, by another key than the one that enrolled."""
    note = require_name(note, "a note", 500) if note else ""
    with core.write(by, Permission.VOICE_REVIEW) as writing:
        voices.find(writing.connection, writing.tenant, voice_id)
        mine = (enrolments.c.tenant == writing.tenant) & (enrolments.c.voice_id == voice_id)
        row = writing.connection.execute(select(enrolments).where(mine)).mappings().one_or_none()
        if row is None or row["state"] != "review":
            raise Conflict("this voice is not waiting for review", code="voice_not_in_review")
        if row["enrolled_by"] == by.key_id:
            raise PermissionDenied(
                "another person must review what you enrolled", code="reviewer_is_enroller"
            )
        _advance(writing, row, state="approved" if approve else "refused")
        writing.log.append(
            "voice.approved" if approve else "voice.refused",
            by=by.key_id,
            voice=voice_id,
            enrolment=row["enrolment_id"],
            note=writing.log.commit_to(voice_id, "review", note) if note else None,
        )
        voice = voices.change(writing, voice_id, state="active" if approve else "refused")
    if not approve:
        core.vault.destroy(by.tenant, voice_id)
    return voice


def _insert(
    writing: Writing, by: Principal, challenge: Challenge, name: str, subject_id: str, subject_name: str
) -> None:
    subject = {"subject_id": subject_id, "tenant": writing.tenant, "name": subject_name}
    writing.connection.execute(insert(subjects), subject)
    voice = {
        "voice_id": challenge.voice_id,
        "tenant": writing.tenant,
        "name": name,
        "kind": "cloned",
        "state": "enrolling",
        "epoch": 1,
        "language": challenge.language,
        "created_at": writing.now,
        "prompt_digest": "",
        "subject_id": subject_id,
    }
    writing.connection.execute(insert(tables.voices), voice)
    enrolment = {
        "enrolment_id": challenge.enrolment_id,
        "tenant": writing.tenant,
        "voice_id": challenge.voice_id,
        "enrolled_by": by.key_id,
        "state": "pending",
        "expires_at": challenge.expires_at,
        "statement_digest": "",
        "note": "",
    }
    writing.connection.execute(insert(enrolments), enrolment)


def _find(connection: Connection, tenant: str, enrolment_id: str) -> RowMapping:
    mine = (enrolments.c.tenant == tenant) & (enrolments.c.enrolment_id == enrolment_id)
    row = connection.execute(select(enrolments).where(mine)).mappings().one_or_none()
    if row is None:
        raise NotFound("no such enrolment", code="enrolment_unknown")
    return row


def _advance(writing: Writing, row: RowMapping, **values: Any) -> None:
    mine = (enrolments.c.tenant == writing.tenant) & (enrolments.c.enrolment_id == row["enrolment_id"])
    writing.connection.execute(update(enrolments).where(mine).values(**values))
