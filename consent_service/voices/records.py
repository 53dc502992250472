"""Voices of the ledger: looking them up, listing and changing them."""

from __future__ import annotations

import unicodedata
from typing import Any

from sqlalchemy import Connection, RowMapping, update

from consent_service.core import WriteTransaction
from consent_service.errors import Conflict, InvalidInput, NotFound
from consent_service.ledger.rows import find_row, from_row, rows_of
from consent_service.ledger.tables import voices
from consent_service.models import Voice

MAX_TRANSCRIPT = 4000


def to_voice(row: RowMapping) -> Voice:
    return from_row(Voice, row)


def find(connection: Connection, tenant: str, voice_id: str) -> RowMapping:
    """The row of a voice. Raises NotFound, for one of another tenant too."""
    row = find_row(connection, voices, tenant, voice_id=voice_id)
    if row is None:
        raise NotFound("no such voice", code="voice_unknown")
    return row


def require_state(connection: Connection, tenant: str, voice_id: str, state: str) -> None:
    """Before a voice moves on. Raises Conflict when it has come to another state meanwhile."""
    found = find(connection, tenant, voice_id)["state"]
    if found != state:
        raise Conflict(
            f"the voice is {found} by now, and not {state}: nothing was changed",
            code="voice_decommissioned" if found == "decommissioned" else "voice_not_active",
        )


def change(writing: WriteTransaction, voice_id: str, **values: Any) -> Voice:
    """Update a voice and return it."""
    where_row = rows_of(voices, writing.tenant, voice_id=voice_id)
    writing.connection.execute(update(voices).where(where_row).values(**values))
    return to_voice(find(writing.connection, writing.tenant, voice_id))


def require_transcript(transcript: str) -> str:
    """Raises InvalidInput (transcript_missing)."""
    text = " ".join(transcript.split())
    unfit = any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
    if not text or len(text) > MAX_TRANSCRIPT or unfit:
        raise InvalidInput(
            f"send what is said in the recording, 1-{MAX_TRANSCRIPT} characters", code="transcript_missing"
        )
    return text
