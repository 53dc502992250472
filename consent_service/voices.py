"""Voices of the ledger: listing them, and keeping a designed one."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from consent_service.access import Permission, may_see
from consent_service.core import Core, Writing
from consent_service.errors import InvalidInput, NotFound
from consent_service.grants import Basis
from consent_service.ids import new_id, require_name
from consent_service.languages import require_language
from consent_service.ledger.tables import clips, voices
from consent_service.models import Principal, Voice
from consent_service.recordings import read_recording
from consent_service.sealing import pack_reference

MAX_TRANSCRIPT = 4000


def to_voice(row: RowMapping) -> Voice:
    return Voice(
        voice_id=row["voice_id"],
        tenant=row["tenant"],
        name=row["name"],
        kind=row["kind"],
        state=row["state"],
        epoch=row["epoch"],
        language=row["language"],
        created_at=row["created_at"],
        prompt_digest=row["prompt_digest"],
    )


def find(connection: Connection, tenant: str, voice_id: str) -> RowMapping:
    """The row of a voice. Raises NotFound, for one of another tenant too."""
    query = select(voices).where(voices.c.tenant == tenant, voices.c.voice_id == voice_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound("no such voice", code="voice_unknown")
    return row


def change(writing: Writing, voice_id: str, **values: Any) -> Voice:
    """Update a voice and return it."""
    mine = (voices.c.tenant == writing.tenant) & (voices.c.voice_id == voice_id)
    writing.connection.execute(update(voices).where(mine).values(**values))
    return to_voice(find(writing.connection, writing.tenant, voice_id))


def list_voices(core: Core, by: Principal) -> list[Voice]:
    with core.read(by, Permission.VOICE_READ) as reading:
        query = select(voices).where(voices.c.tenant == reading.tenant).order_by(voices.c.created_at)
        rows = reading.connection.execute(query).mappings()
        return [to_voice(row) for row in rows if may_see(reading.by, row["voice_id"])]


def show(core: Core, by: Principal, voice_id: str) -> Voice:
    with core.read(by, Permission.VOICE_READ) as reading:
        if not may_see(reading.by, voice_id):
            raise NotFound("no such voice", code="voice_unknown")
        return to_voice(find(reading.connection, reading.tenant, voice_id))


def require_transcript(transcript: str) -> str:
    """Raises InvalidInput (transcript_missing)."""
    text = " ".join(transcript.split())
    unfit = any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
    if not text or len(text) > MAX_TRANSCRIPT or unfit:
        raise InvalidInput(
            f"send what is said in the recording, 1-{MAX_TRANSCRIPT} characters", code="transcript_missing"
        )
    return text


def keep_designed(
    core: Core, by: Principal, *, name: str, language: str, reference: bytes, transcript: str, clip_id: str
) -> Voice:
    """A designed voice that stays. There is no person behind it, so it must be shown to be one of our own
    clips."""
    name, text = require_name(name, "a voice's name"), require_transcript(transcript)
    require_language(language)
    recording = read_recording(reference)
    digest, voice_id = hashlib.sha256(reference).hexdigest(), new_id("voice")
    try:
        with core.write(by, Permission.VOICE_ENROL) as writing:
            query = select(clips).where(
                clips.c.tenant == writing.tenant,
                clips.c.clip_id == clip_id,
                clips.c.basis == Basis.DESIGN.value,
                clips.c.state == "live",
                clips.c.audio_sha256 == digest,
            )
            if writing.connection.execute(query).one_or_none() is None:
                raise InvalidInput(
                    "a designed voice is kept from a clip of a one-off design, unaltered",
                    code="reference_not_designed",
                )
            core.vault.create_key(writing.tenant, voice_id)
            packed = pack_reference(recording.wav, text)
            prompt_digest = core.vault.store(writing.tenant, voice_id, "reference", packed)
            row = {
                "voice_id": voice_id,
                "tenant": writing.tenant,
                "name": name,
                "kind": "designed",
                "state": "active",
                "epoch": 1,
                "language": language,
                "created_at": writing.now,
                "prompt_digest": prompt_digest,
            }
            writing.connection.execute(insert(voices), row)
            writing.log.append(
                "voice.kept",
                by=by.key_id,
                voice=voice_id,
                name=writing.log.commit_to(voice_id, "name", name),
                clip=clip_id,
                reference=prompt_digest,
            )
            return to_voice(find(writing.connection, writing.tenant, voice_id))
    except BaseException:
        core.vault.destroy(by.tenant, voice_id)
        raise
