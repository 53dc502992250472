"""The end of a voice: decommissioning, its certificate, retention, leftovers.

Whoever lends a voice lends it for a time: until a day that was agreed, or for the period that the configuration sets.
A sweep lists the voices whose time has passed, and on a second word ends them as any other decommissioning would,
certificate included. It never runs by itself.
"""

from __future__ import annotations

import math
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, func, literal, select

from consent_service.access import Permission
from consent_service.core import Core
from consent_service.deletion import decommission, orphans
from consent_service.deletion.clips import TOMBSTONE
from consent_service.deletion.erase import speaks_elsewhere
from consent_service.errors import Conflict, InvalidInput
from consent_service.ledger.rows import find_value, rows_of
from consent_service.ledger.tables import clips, consents, decommissions, enrolments, subjects, voices
from consent_service.models import Principal, Voice, VoiceHoldings
from consent_service.voices import records

PASSED: Final = "the retention period has passed"
_DAY_S: Final = 86_400.0


class Deletion:
    """`ConsentService.deletion`. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def decommission(self, by: Principal, voice_id: str, reason: str) -> Voice:
        """Revoke every consent of the voice, destroy its data key, recordings, clips and names, and certify that.
        Goes on where an earlier call was interrupted. Raises StorageUnavailable or LedgerUnavailable when something
        could not be deleted: call again."""
        return decommission.decommission(self._core, by, voice_id, reason)

    def holdings(self, by: Principal, voice_id: str) -> VoiceHoldings:
        """What `decommission` would destroy. Needs VOICE_ADMIN."""
        with self._core.read(by, Permission.VOICE_DECOMMISSION) as reading:
            connection, tenant = reading.connection, reading.tenant
            voice = records.find(connection, tenant, voice_id)

            def count(table: Table, condition: ColumnElement[bool]) -> int:
                where_row = rows_of(table, tenant, voice_id=voice_id)
                query = select(func.count()).select_from(table).where(where_row, condition)
                return int(connection.execute(query).scalar_one())

            subject_id, name = voice["subject_id"], None
            if subject_id is not None and not speaks_elsewhere(connection, tenant, subject_id, voice_id):
                name = find_value(connection, subjects.c.name, tenant, subject_id=subject_id)
            return VoiceHoldings(
                name=voice["name"],
                subject_name=name,
                recordings=bool(voice["prompt_digest"])
                + count(enrolments, enrolments.c.statement_digest != ""),
                consents=count(consents, consents.c.state == "live"),
                clips=count(clips, clips.c.state != TOMBSTONE),
            )

    def resume(self, by: Principal) -> list[Voice]:
        """Finish every decommissioning of the tenant that was interrupted, oldest first."""
        with self._core.read(by, Permission.VOICE_DECOMMISSION) as reading:
            query = select(decommissions.c.voice_id).where(
                decommissions.c.tenant == reading.tenant, decommissions.c.finished_at.is_(None)
            )
            left = reading.connection.execute(query.order_by(decommissions.c.begun_at)).scalars().all()
        return [decommission.finish(self._core, by, voice_id) for voice_id in left]

    def certificate(self, by: Principal, voice_id: str) -> str:
        """The signed certificate of deletion; `proofs.certificate.verify_certificate` checks it offline. NotFound
        (certificate_missing) before the end."""
        return decommission.certificate(self._core, by, voice_id)

    def keep_until(self, by: Principal, voice_id: str, until: float | None) -> Voice:
        """When the voice's retention period ends (Unix seconds, not in the past; None: after the configured period).
        Audited. Raises InvalidInput (validity_invalid), Conflict (voice_decommissioned)."""
        if until is not None and not (math.isfinite(until) and until > 0):
            raise InvalidInput("a retention period ends at a point in time", code="validity_invalid")
        with self._core.write(by, Permission.VOICE_ENROL) as writing:
            if until is not None and until < writing.now:
                raise InvalidInput(
                    "a retention period ends in the future; to end a voice now, decommission it",
                    code="validity_invalid",
                )
            if records.find(writing.connection, writing.tenant, voice_id)["state"] == "decommissioned":
                raise Conflict("the voice has been decommissioned", code="voice_decommissioned")
            writing.log.append(
                "voice.retention_set",
                by=by.key_id,
                voice=voice_id,
                until="default" if until is None else until,
            )
            return records.change(writing, voice_id, retain_until=until)

    def sweep_voices(self, by: Principal, *, confirm: bool = False) -> list[Voice]:
        """The voices whose retention period has passed: listed, or with `confirm` decommissioned."""
        with self._core.read(by, Permission.VOICE_DECOMMISSION) as reading:
            standing = (voices.c.tenant == reading.tenant) & (voices.c.state != "decommissioned")
            query = select(voices).where(standing, _ends(self._core) <= reading.now)
            rows = reading.connection.execute(query.order_by(voices.c.created_at)).mappings()
            due = [records.to_voice(row) for row in rows]
        if not confirm:
            return due
        return [
            decommission.decommission(self._core, by, voice.voice_id, PASSED, unfinished_too=True)
            for voice in due
        ]

    def sweep_vault(self, by: Principal, *, confirm: bool = False) -> list[str]:
        """Sealed recordings that no voice needs, left by a process that died: listed, or with `confirm` destroyed.
        Needs VOICE_ADMIN."""
        return orphans.sweep(self._core, by, confirm=confirm)


def _ends(core: Core) -> ColumnElement[Any]:
    days = core.config.retention_days
    default = literal(None) if days is None else voices.c.created_at + days * _DAY_S
    return func.coalesce(voices.c.retain_until, default)
