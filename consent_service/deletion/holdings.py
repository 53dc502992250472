"""What is kept of a voice: told before it is destroyed, to the person who decides."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Table, func, select

from consent_service.access import Permission
from consent_service.core import Core
from consent_service.deletion.clips import TOMBSTONE
from consent_service.deletion.erase import speaks_elsewhere
from consent_service.ledger.tables import clips, consents, enrolments, subjects
from consent_service.models import Principal, VoiceHoldings
from consent_service.voices import records


def holdings(core: Core, by: Principal, voice_id: str) -> VoiceHoldings:
    """What a decommissioning would destroy. Needs VOICE_DECOMMISSION."""
    with core.read(by, Permission.VOICE_DECOMMISSION) as reading:
        connection, tenant = reading.connection, reading.tenant
        voice = records.find(connection, tenant, voice_id)

        def count(table: Table, condition: ColumnElement[bool]) -> int:
            mine = (table.c.tenant == tenant) & (table.c.voice_id == voice_id)
            query = select(func.count()).select_from(table).where(mine, condition)
            return int(connection.execute(query).scalar_one())

        subject_id, name = voice["subject_id"], None
        if subject_id is not None and not speaks_elsewhere(connection, tenant, subject_id, voice_id):
            person = (subjects.c.tenant == tenant) & (subjects.c.subject_id == subject_id)
            name = connection.execute(select(subjects.c.name).where(person)).scalar()
        return VoiceHoldings(
            name=voice["name"],
            subject_name=name,
            recordings=bool(voice["prompt_digest"]) + count(enrolments, enrolments.c.statement_digest != ""),
            consents=count(consents, consents.c.state == "live"),
            clips=count(clips, clips.c.state != TOMBSTONE),
        )
