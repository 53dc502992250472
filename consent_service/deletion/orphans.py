"""Sealed objects that no voice needs: what a process left behind that died between the vault and the commit.

Recordings are stored before the row that names them is committed, so that no row ever names what is not there. The
price is paid here. Destroyed is what lies in the vault for a voice that does not exist, that was refused, or whose
enrolment can no longer be completed; and a further statement that nobody completed or that was refused. All of it under
the tenant's write lock, which whoever stores holds as well.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from consent_service.access import Permission
from consent_service.core import Core
from consent_service.ledger.rows import find_value, rows_of
from consent_service.ledger.tables import enrolments, voices
from consent_service.models import Principal
from consent_service.vault.vault import CLIPS

_STATEMENT = "statement."  # what the vault calls a further statement begins so; its challenge's id follows


def sweep(core: Core, by: Principal, *, confirm: bool = False) -> list[str]:
    """The orphans of the caller's tenant, by the ids of the voices and further statements that they were stored for:
    listed, or with `confirm` destroyed, audited."""
    with core.read(by, Permission.VOICE_DECOMMISSION) as reading:
        tenant, connection, now = reading.tenant, reading.connection, reading.now
        stored = [
            voice_id for owner, voice_id in core.vault.voices() if owner == tenant and voice_id != CLIPS
        ]
        orphans = [voice_id for voice_id in stored if _is_orphan(connection, tenant, voice_id, now)]
        loose = [
            (voice_id, kind)
            for voice_id, kind in core.vault.objects(tenant)
            if voice_id not in orphans and _is_loose(connection, tenant, kind, now)
        ]
    if not confirm:
        return [*orphans, *(kind.removeprefix(_STATEMENT) for _, kind in loose)]
    return [
        *(each for each in orphans if _destroy_voice(core, by, each)),
        *(kind.removeprefix(_STATEMENT) for each, kind in loose if _destroy_statement(core, by, each, kind)),
    ]


def _destroy_voice(core: Core, by: Principal, voice_id: str) -> bool:
    with core.write(by, Permission.VOICE_DECOMMISSION) as writing:
        if not _is_orphan(writing.connection, writing.tenant, voice_id, writing.now):
            return False  # it came to life meanwhile
        copies = core.vault.destroy(writing.tenant, voice_id)
        writing.log.append("voice.orphan_destroyed", by=by.key_id, voice=voice_id, copies=len(copies))
        return True


def _destroy_statement(core: Core, by: Principal, voice_id: str, kind: str) -> bool:
    with core.write(by, Permission.VOICE_DECOMMISSION) as writing:
        if not _is_loose(writing.connection, writing.tenant, kind, writing.now):
            return False
        copies = core.vault.destroy_object(writing.tenant, voice_id, kind)
        writing.log.append(
            "voice.orphan_destroyed",
            by=by.key_id,
            voice=voice_id,
            enrolment=kind.removeprefix(_STATEMENT),
            copies=len(copies),
        )
        return True


def _is_orphan(connection: Connection, tenant: str, voice_id: str, now: float) -> bool:
    state = find_value(connection, voices.c.state, tenant, voice_id=voice_id)
    if state is None or state == "refused":
        return True
    if state != "enrolling":
        return False
    theirs = rows_of(enrolments, tenant, voice_id=voice_id)
    ends = connection.execute(select(enrolments.c.expires_at).where(theirs)).scalars().all()
    return all(now > end for end in ends)


def _is_loose(connection: Connection, tenant: str, kind: str, now: float) -> bool:
    if not kind.startswith(_STATEMENT):
        return False
    where_row = rows_of(enrolments, tenant, enrolment_id=kind.removeprefix(_STATEMENT))
    row = connection.execute(
        select(enrolments.c.state, enrolments.c.expires_at).where(where_row)
    ).one_or_none()
    return row is None or row.state == "refused" or (row.state == "pending" and now > row.expires_at)
