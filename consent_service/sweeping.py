"""Sealed objects that no voice needs: what a process left behind that died between the vault and the commit.

Recordings are stored before the row that names them is committed, so that no row ever names what is not there. The
price is paid here: what lies in the vault for a voice that does not exist, that was refused, or whose enrolment can no
longer be completed, is destroyed. Under the tenant's write lock, which whoever stores holds as well.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from consent_service.access import Permission
from consent_service.core import Core
from consent_service.ledger.tables import enrolments, voices
from consent_service.models import Principal


def sweep(core: Core, by: Principal) -> list[str]:
    """Destroy the orphans of the caller's tenant, audited. Returns the voice ids that they were stored for."""
    with core.read(by, Permission.VOICE_DECOMMISSION) as reading:
        stored = [voice_id for tenant, voice_id in core.vault.voices() if tenant == reading.tenant]
        suspects = [v for v in stored if _is_orphan(reading.connection, reading.tenant, v, reading.now)]
    destroyed = []
    for voice_id in suspects:
        with core.write(by, Permission.VOICE_DECOMMISSION) as writing:
            if not _is_orphan(writing.connection, writing.tenant, voice_id, writing.now):
                continue  # it came to life meanwhile
            copies = core.vault.destroy(writing.tenant, voice_id)
            writing.log.append("voice.orphan_destroyed", by=by.key_id, voice=voice_id, copies=len(copies))
            destroyed.append(voice_id)
    return destroyed


def _is_orphan(connection: Connection, tenant: str, voice_id: str, now: float) -> bool:
    mine = (voices.c.tenant == tenant) & (voices.c.voice_id == voice_id)
    state = connection.execute(select(voices.c.state).where(mine)).scalar()
    if state is None or state == "refused":
        return True
    # A voice may have several: of its enrolment, and of statements made later.
    asked = (enrolments.c.tenant == tenant) & (enrolments.c.voice_id == voice_id)
    until = connection.execute(select(func.max(enrolments.c.expires_at)).where(asked)).scalar()
    return state == "enrolling" and until is not None and now > until
