"""How long a voice is kept: until a day that was agreed, or for the period that the configuration sets.

Whoever lends a voice lends it for a time. A sweep lists the voices whose time has passed, and on a second word ends
them as any other decommissioning would, certificate included. It never runs by itself.
"""

from __future__ import annotations

import math
from typing import Any, Final

from sqlalchemy import ColumnElement, func, literal, select

from consent_service.access import Permission
from consent_service.core import Core
from consent_service.deletion import decommission
from consent_service.errors import Conflict, InvalidInput
from consent_service.ledger.tables import voices as table
from consent_service.models import Principal, Voice
from consent_service.voices import records

PASSED: Final = "the retention period has passed"
_DAY_S: Final = 86_400.0


def keep_until(core: Core, by: Principal, voice_id: str, until: float | None) -> Voice:
    """Set the day (Unix seconds); None goes back to the configured period. Audited. Needs VOICE_ENROL.
    Raises InvalidInput (validity_invalid) for a moment that has passed, Conflict (voice_decommissioned)."""
    if until is not None and not (math.isfinite(until) and until > 0):
        raise InvalidInput("a retention period ends at a point in time", code="validity_invalid")
    with core.write(by, Permission.VOICE_ENROL) as writing:
        if until is not None and until < writing.now:
            raise InvalidInput(
                "a retention period ends in the future; to end a voice now, decommission it",
                code="validity_invalid",
            )
        if records.find(writing.connection, writing.tenant, voice_id)["state"] == "decommissioned":
            raise Conflict("the voice has been decommissioned", code="voice_decommissioned")
        writing.log.append(
            "voice.retention_set", by=by.key_id, voice=voice_id, until="default" if until is None else until
        )
        return records.change(writing, voice_id, retain_until=until)


def sweep(core: Core, by: Principal, *, confirm: bool = False) -> list[Voice]:
    """The voices whose time has passed, oldest first: listed, or with `confirm` decommissioned."""
    with core.read(by, Permission.VOICE_DECOMMISSION) as reading:
        query = select(table).where(
            table.c.tenant == reading.tenant, table.c.state != "decommissioned", _ends(core) <= reading.now
        )
        rows = reading.connection.execute(query.order_by(table.c.created_at)).mappings()
        due = [records.to_voice(row) for row in rows]
    if not confirm:
        return due
    return [decommission.decommission(core, by, voice.voice_id, PASSED, unfinished_too=True) for voice in due]


def _ends(core: Core) -> ColumnElement[Any]:
    days = core.config.retention_days
    default = literal(None) if days is None else table.c.created_at + days * _DAY_S
    return func.coalesce(table.c.retain_until, default)
