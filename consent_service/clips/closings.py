"""When a file was handed over, as the log has it: the entry that closed its clip's grant, by the file's digest.

A certificate that has expired since still speaks for what the log held while it was valid.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, select

from consent_service.core import Core
from consent_service.ledger.tables import clips, log_entries, redemptions


def logged_at(core: Core, clip_id: str, audio_sha256: str) -> float | None:
    """Unix seconds; None while nothing in the log holds this digest of this clip."""
    with core.ledger.read() as connection:
        found = connection.execute(
            select(clips.c.tenant, clips.c.audit_leaf).where(clips.c.clip_id == clip_id)
        ).one_or_none()
        if found is None:
            return None
        grant = _entry(connection, found.tenant, found.audit_leaf).get("grant")
        leaf = connection.execute(
            select(redemptions.c.closing_leaf).where(
                redemptions.c.grant_id == grant, redemptions.c.tenant == found.tenant
            )
        ).scalar()
        closing = {} if leaf is None else _entry(connection, found.tenant, leaf)
    return handed_over_at(closing, clip_id, audio_sha256)


def handed_over_at(closing: dict[str, Any], clip_id: str, audio_sha256: str) -> float | None:
    """From an entry of the log."""
    is_it = closing.get("kind") == "speech.closed" and closing.get("clip") == clip_id
    return float(closing["at"]) if is_it and closing.get("audio") == audio_sha256 else None


def _entry(connection: Connection, tenant: str, leaf: int) -> dict[str, Any]:
    entry = log_entries.c
    raw = connection.execute(
        select(entry.entry).where(entry.tenant == tenant, entry.leaf == leaf)
    ).scalar_one()
    told: dict[str, Any] = json.loads(bytes(raw))
    return told
