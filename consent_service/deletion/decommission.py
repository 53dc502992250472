"""The end of a voice, in steps that a crash can't undo: silence, destroy, delete, erase, certify.

    silenced    consents revoked, clips withdrawn, epoch raised, feed told: nothing speaks any more
    destroyed   every copy of the wrapped data key, then of the sealed recordings
    deleted     every copy of every clip, wherever the doors registered that they keep them
    erased      names, contact, words and salts
    scrubbed    the database overwrites what it had only marked as deleted
    certified   the log's entry over the whole account, and the signed certificate

A step does its work first and is recorded after it, in one transaction with its audit entry. All work can be done
again without harm, so that a run which died is resumed by repeating the step it died in; of two runs at once, one
records. Nothing is undone: a voice that was silenced stays so even if nobody ever finishes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, RowMapping, delete, insert, update

from consent_service.access import Permission
from consent_service.core import Core, WriteTransaction
from consent_service.deletion import clips, erase
from consent_service.deletion.certify import certify
from consent_service.deletion.silence import silence
from consent_service.errors import Conflict, NotFound, ObjectMissing
from consent_service.ids import require_name
from consent_service.ledger.rows import find_row, rows_of
from consent_service.ledger.tables import decommissions
from consent_service.models import Principal, Voice
from consent_service.voices import records

_LATELY_S: Final = 3600.0  # how old a clip may be and still have been on its way when its voice was silenced
Report: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Run:
    """One voice on its way out."""

    core: Core
    by: Principal
    voice_id: str
    right: Permission

    @property
    def tenant(self) -> str:
        return self.by.tenant


@dataclass(frozen=True, slots=True)
class _Step:
    """`work` happens outside of any transaction, and tells what it did; `record` is the transaction's part."""

    name: str
    work: Callable[[_Run], Report]
    record: Callable[[_Run, WriteTransaction, Report], Report]


def decommission(
    core: Core,
    by: Principal,
    voice_id: str,
    reason: str,
    *,
    unfinished_too: bool = False,
    right: Permission = Permission.VOICE_DECOMMISSION,
) -> Voice:
    """Take a voice out of the world for good, or go on where an earlier call was interrupted.

    unfinished_too: also one that is still being enrolled (a retention period spares nobody).
    right: under which the caller does it.
    """
    reason = require_name(reason, "a reason", 500)
    with core.write(by, right) as writing:
        row = records.find(writing.connection, writing.tenant, voice_id)
        if row["state"] in ("enrolling", "review") and not unfinished_too:
            raise Conflict(
                "the voice is still being enrolled; refuse it in review instead", code="voice_not_active"
            )
        found = _found(writing.connection, writing.tenant, voice_id)
        # What was certified of a voice that is back (restored, say) is no longer true: it ends once more.
        if found is None or row["state"] != "decommissioned":
            _begin(core, writing, by, row, reason)
    return finish(core, by, voice_id, right)


def certificate(
    core: Core, by: Principal, voice_id: str, *, right: Permission = Permission.CONSENT_READ
) -> str:
    """`right`: under which the caller asks."""
    with core.read(by, right) as reading:
        row = _found(reading.connection, reading.tenant, voice_id)
        if row is None or not row["certificate"]:
            raise NotFound("this voice has no certificate of deletion", code="certificate_missing")
        return str(row["certificate"])


def finish(
    core: Core, by: Principal, voice_id: str, right: Permission = Permission.VOICE_DECOMMISSION
) -> Voice:
    """Go on where an earlier call was interrupted."""
    run = _Run(core, by, voice_id, right)
    for step in _STEPS:
        with run.core.read(run.by, run.right) as reading:
            if _is_done(_require(reading.connection, run), step):
                continue
        told = _do(step, run)
        with run.core.write(run.by, run.right) as writing:
            row = _require(writing.connection, run)
            if not _is_done(row, step):
                report = {**row["report"], **step.record(run, writing, {**row["report"], **told})}
                _advance(writing, run.voice_id, step=step.name, report=report)
    with run.core.read(run.by, run.right) as reading:
        return records.to_voice(records.find(reading.connection, run.tenant, run.voice_id))


def _do(step: _Step, run: _Run) -> Report:
    while True:
        try:
            return step.work(run)
        except ObjectMissing:
            continue  # another run deletes the same things, and was faster: look again at what is left


def _begin(core: Core, writing: WriteTransaction, by: Principal, row: RowMapping, reason: str) -> None:
    of = rows_of(decommissions, writing.tenant, voice_id=row["voice_id"])
    writing.connection.execute(delete(decommissions).where(of))
    writing.connection.execute(
        insert(decommissions),
        {
            "voice_id": row["voice_id"],
            "tenant": writing.tenant,
            "step": "silenced",
            "begun_at": writing.now,
            "report": silence(core, writing, by, row, reason),
            "certificate": "",
        },
    )


def _name_what_goes(run: _Run) -> Report:
    return {"wrapped_key": run.core.vault.key_digest(run.tenant, run.voice_id)}


def _destroy(run: _Run) -> Report:
    return {"copies": [asdict(copy) for copy in run.core.vault.destroy(run.tenant, run.voice_id)]}


def _record_destroyed(run: _Run, writing: WriteTransaction, report: Report) -> Report:
    writing.log.append(
        "voice.key_destroyed",
        by=run.by.key_id,
        voice=run.voice_id,
        key=report["wrapped_key"],
        copies=len(report["copies"]),
    )
    return {"copies": report["copies"], "destroyed_at": writing.now}


def _delete(run: _Run) -> Report:
    clips.delete_clips(run.core, run.tenant, run.voice_id)
    with run.core.ledger.read() as connection:
        began = _require(connection, run)["begun_at"]
    return {"stores": clips.search_stores(run.core, run.tenant, run.voice_id, began - _LATELY_S)}


def _record_deleted(run: _Run, writing: WriteTransaction, report: Report) -> Report:
    told = clips.account(writing.connection, run.tenant, run.voice_id)
    clips.forget_places(writing.connection, run.tenant, run.voice_id)
    writing.log.append("voice.clips_deleted", by=run.by.key_id, voice=run.voice_id, **told)
    return {"clips": {**told, "stores": report["stores"]}, "deleted_at": writing.now}


def _forget_messages(run: _Run) -> Report:
    erase.forget_messages(run.core, run.tenant, run.voice_id)
    return {}


def _record_erased(run: _Run, writing: WriteTransaction, _: Report) -> Report:
    told = erase.erase(writing, run.voice_id)
    writing.log.append("voice.erased", by=run.by.key_id, voice=run.voice_id, salts=told["salts"])
    return {"erased": told, "erased_at": writing.now}


def _scrub(run: _Run) -> Report:
    return {"database": erase.scrub(run.core.ledger, run.core.config.busy_timeout_s)}


def _certify(run: _Run, writing: WriteTransaction, report: Report) -> Report:
    begun_at = _require(writing.connection, run)["begun_at"]
    text = certify(run.core, writing, run.by, run.voice_id, begun_at, report)
    _advance(writing, run.voice_id, finished_at=writing.now, certificate=text)
    records.change(writing, run.voice_id, destroyed_at=writing.now)
    return {}


def _nothing(_: _Run) -> Report:
    return {}


def _keep(*names: str) -> Callable[[_Run, WriteTransaction, Report], Report]:
    return lambda run, writing, report: {name: report[name] for name in names}


_STEPS: Final = (
    _Step("named", _name_what_goes, _keep("wrapped_key")),
    _Step("destroyed", _destroy, _record_destroyed),
    _Step("deleted", _delete, _record_deleted),
    _Step("erased", _forget_messages, _record_erased),
    _Step("scrubbed", _scrub, _keep("database")),
    _Step("certified", _nothing, _certify),
)
_ORDER: Final[Mapping[str, int]] = {"silenced": 0} | {step.name: at for at, step in enumerate(_STEPS, 1)}


def _is_done(row: RowMapping, step: _Step) -> bool:
    return _ORDER[row["step"]] >= _ORDER[step.name]


def _found(connection: Connection, tenant: str, voice_id: str) -> RowMapping | None:
    return find_row(connection, decommissions, tenant, voice_id=voice_id)


def _require(connection: Connection, run: _Run) -> RowMapping:
    row = _found(connection, run.tenant, run.voice_id)
    if row is None:
        raise NotFound("this voice is not being decommissioned", code="certificate_missing")
    return row


def _advance(writing: WriteTransaction, voice_id: str, **values: Any) -> None:
    where_row = rows_of(decommissions, writing.tenant, voice_id=voice_id)
    writing.connection.execute(update(decommissions).where(where_row).values(**values))
