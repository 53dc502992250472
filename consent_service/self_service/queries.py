"""What a person who signed in may see and do: their own voices, consents and uses, and nobody else's.

The person's number comes from the ledger's row of the key, never from the caller. What belongs to somebody else is not
there: the same NotFound as for what never was.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from sqlalchemy import Column, Connection, Row, Select, and_, literal, or_, select

from consent_service.access import Permission
from consent_service.consents import records
from consent_service.core import Core, Reading
from consent_service.deletion import decommission as deletion
from consent_service.errors import InvalidInput, NotFound, PermissionDenied
from consent_service.ledger.tables import clips, log_entries, redemptions
from consent_service.ledger.tables import consents as consents_table
from consent_service.ledger.tables import voices as voices_table
from consent_service.models import Consent, Principal, Revocation, Use, Uses, Voice
from consent_service.voices import records as voices

MOST_USES: Final = 500  # of one page
_Position = tuple[int, str] | None  # leaf, and what tells apart those of one leaf
_CURSOR: Final = re.compile(r"([0-9]{1,15})-([0-9a-zA-Z_]{1,80})")


def list_voices(core: Core, by: Principal) -> list[Voice]:
    with core.read(by, Permission.OWN_READ) as reading:
        mine = (voices_table.c.tenant == reading.tenant) & (voices_table.c.subject_id == _person(reading))
        query = select(voices_table).where(mine).order_by(voices_table.c.created_at)
        return [voices.to_voice(row) for row in reading.connection.execute(query).mappings()]


def list_consents(core: Core, by: Principal) -> list[Consent]:
    with core.read(by, Permission.OWN_READ) as reading:
        table = consents_table.c
        mine = (table.tenant == reading.tenant) & (table.subject_id == _person(reading))
        query = select(consents_table).where(mine).order_by(table.recorded_at)
        return [records.to_consent(row) for row in reading.connection.execute(query).mappings()]


def receipt(core: Core, by: Principal, consent_id: str) -> str:
    with core.read(by, Permission.OWN_READ) as reading:
        row = records.find(reading.connection, reading.tenant, consent_id)
        if row["subject_id"] != _person(reading):
            raise NotFound("no such consent", code="consent_unknown")
        return str(row["receipt"])


def revoke(core: Core, by: Principal, consent_id: str, reason: str) -> Revocation:
    with core.read(by, Permission.OWN_REVOKE) as reading:
        subject_id = _person(reading)
    return records.revoke(core, by, consent_id, reason, subject_id=subject_id)


def decommission(core: Core, by: Principal, voice_id: str, reason: str) -> Voice:
    # A voice's person never changes: what was theirs here is theirs in the transactions that follow.
    _require_voice(core, by, voice_id, Permission.OWN_DECOMMISSION)
    return deletion.decommission(core, by, voice_id, reason, right=Permission.OWN_DECOMMISSION)


def certificate(core: Core, by: Principal, voice_id: str) -> str:
    _require_voice(core, by, voice_id, Permission.OWN_READ)
    return deletion.certificate(core, by, voice_id, right=Permission.OWN_READ)


def uses(core: Core, by: Principal, after: str, limit: int) -> Uses:
    """Every clip of the caller's voices, and every time that one was handed out again; latest first. `after`: where an
    earlier page ended. Raises InvalidInput (cursor_invalid)."""
    limit, start = max(1, min(limit, MOST_USES)), _position(after)
    with core.read(by, Permission.OWN_READ) as reading:
        mine = _voice_ids(reading)
        found = [
            row
            for query in (_made(reading.tenant, mine, start), _handed_out_again(reading.tenant, mine, start))
            for row in reading.connection.execute(query.limit(limit + 1))
        ]
        found.sort(key=lambda row: (row.leaf, row.mark), reverse=True)
        page = found[:limit]
        entries = _entries(reading.connection, reading.tenant, [row.leaf for row in page])
    last = page[-1] if len(found) > limit else None
    return Uses(
        tuple(_use(row, entries.get(row.leaf, {})) for row in page),
        "" if last is None else f"{last.leaf}-{last.mark}",
    )


def _person(reading: Reading) -> str:
    if reading.by.subject_id is None:
        raise PermissionDenied("this key is not that of a person who signed in")
    return reading.by.subject_id


def _require_voice(core: Core, by: Principal, voice_id: str, right: Permission) -> None:
    """Raises NotFound for a voice that is not the caller's."""
    with core.read(by, right) as reading:
        row = voices.find(reading.connection, reading.tenant, voice_id)
        if row["subject_id"] != _person(reading):
            raise NotFound("no such voice", code="voice_unknown")


def _voice_ids(reading: Reading) -> list[str]:
    table = voices_table.c
    mine = (table.tenant == reading.tenant) & (table.subject_id == _person(reading))
    return list(reading.connection.execute(select(table.voice_id).where(mine)).scalars())


def _made(tenant: str, voice_ids: list[str], start: _Position) -> Select[Any]:
    columns = (
        clips,
        clips.c.created_at.label("at"),
        clips.c.audit_leaf.label("leaf"),
        clips.c.clip_id.label("mark"),
    )
    query = select(*columns, literal(False).label("reused"))
    mine = (clips.c.tenant == tenant) & clips.c.voice_id.in_(voice_ids)
    return _before(query.where(mine), clips.c.audit_leaf, clips.c.clip_id, start)


def _handed_out_again(tenant: str, voice_ids: list[str], start: _Position) -> Select[Any]:
    again = redemptions.c
    columns = (clips, again.redeemed_at.label("at"), again.leaf, again.grant_id.label("mark"))
    joined = clips.join(redemptions, and_(again.reused_clip_id == clips.c.clip_id, again.tenant == tenant))
    query = select(*columns, literal(True).label("reused")).select_from(joined)
    mine = (clips.c.tenant == tenant) & clips.c.voice_id.in_(voice_ids)
    return _before(query.where(mine), again.leaf, again.grant_id, start)


def _before(query: Select[Any], leaf: Column[int], mark: Column[str], start: _Position) -> Select[Any]:
    if start is not None:
        query = query.where(or_(leaf < start[0], and_(leaf == start[0], mark < start[1])))
    return query.order_by(leaf.desc(), mark.desc())


def _position(cursor: str) -> _Position:
    if not cursor:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidInput("go on from the `next` of the page before", code="cursor_invalid")
    return int(found[1]), found[2]


def _entries(connection: Connection, tenant: str, leaves: list[int]) -> dict[int, dict[str, Any]]:
    query = select(log_entries.c.leaf, log_entries.c.entry)
    rows = connection.execute(query.where(log_entries.c.tenant == tenant, log_entries.c.leaf.in_(leaves)))
    return {row.leaf: json.loads(row.entry) for row in rows}


def _use(row: Row[Any], entry: dict[str, Any]) -> Use:
    characters = entry.get("characters")
    return Use(
        at=row.at,
        voice_id=row.voice_id,
        consent_id=row.consent_id,
        purpose=row.purpose,
        grantee=row.grantee,
        characters=characters if isinstance(characters, int) else None,
        seconds=row.seconds,
        clip_id=row.clip_id,
        reused=row.reused,
        leaf=row.leaf,
    )
