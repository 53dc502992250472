"""What is erased of a person when their voice ends: names, contact, words, and the salts of every commitment.

The log stays as it is and still verifies: without the salts, what it committed to can be neither read nor guessed.
Receipts and terms of consents stay: they name nobody, and show that the use was allowed while it lasted.
`scrub` then makes the database itself forget, as far as a database can be told to.
"""

from __future__ import annotations

import time
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, func, select, text, update

from consent_service.core import Core, WriteTransaction
from consent_service.errors import LedgerUnavailable
from consent_service.ledger.engine import Ledger, fail_closed
from consent_service.ledger.rows import find_value, rows_of
from consent_service.ledger.tables import (
    bindings,
    consents,
    enrolments,
    revocations,
    salts,
    subject_links,
    subjects,
    voices,
)
from consent_service.mail import Outbox
from consent_service.subjects.contacts import OUTBOX

ERASED: Final = (
    "the subject's name and contact", "the voice's name", "the challenge", "notes, evidence and reasons",
    "the salts of commitments", "what each clip said",
)  # fmt: skip
KEPT: Final = (
    "ids, purposes and periods of consents, and their receipts", "tombstones of clips",
    "the audit log, whose commitments can no longer be opened",
)  # fmt: skip
_SMALL: Final = (subjects, subject_links, salts, enrolments, voices, consents, revocations)


def forget_messages(core: Core, tenant: str, voice_id: str) -> None:
    """Delete what a laptop's outbox holds for the person; a mail server's copies are out of reach."""
    with core.ledger.read() as connection:
        subject_id = find_value(connection, voices.c.subject_id, tenant, voice_id=voice_id)
        contacts = {
            contact
            for table in (subjects, subject_links)
            for contact in connection.execute(
                select(table.c.contact).where(rows_of(table, tenant, subject_id=subject_id))
            ).scalars()
        }
    with fail_closed():
        Outbox(core.config.data_dir / OUTBOX).forget(contacts)


def erase(writing: WriteTransaction, voice_id: str) -> dict[str, Any]:
    """Part of a decommissioning's transaction. Returns what the certificate says of it."""
    connection, tenant = writing.connection, writing.tenant

    def of(table: Table) -> Any:
        return rows_of(table, tenant, voice_id=voice_id)

    subject_id = connection.execute(select(voices.c.subject_id).where(of(voices))).scalar_one()
    objects = [voice_id, *connection.execute(select(consents.c.consent_id).where(of(consents))).scalars()]
    objects += connection.execute(select(enrolments.c.enrolment_id).where(of(enrolments))).scalars()
    last = subject_id is not None and not speaks_elsewhere(connection, tenant, subject_id, voice_id)
    if last:
        objects.append(subject_id)
        for table in (subject_links, subjects):
            where_row = rows_of(table, tenant, subject_id=subject_id)
            connection.execute(delete(table).where(where_row))
    connection.execute(update(voices).where(of(voices)).values(name="", said_salt=None))
    connection.execute(update(enrolments).where(of(enrolments)).values(note="", nonce="", evidence=None))
    connection.execute(update(consents).where(of(consents)).values(revoked_reason="", evidence=None))
    connection.execute(update(revocations).where(of(revocations)).values(reason="voice_decommissioned"))
    connection.execute(delete(bindings).where(of(bindings)))
    unsalted = 0
    for object_id in objects:
        where_row = rows_of(salts, tenant, object_id=object_id)
        unsalted += connection.execute(delete(salts).where(where_row)).rowcount
    return {"what": list(ERASED), "salts": unsalted, "subject": subject_id, "subject_erased": last}


def scrub(ledger: Ledger, patience_s: float) -> dict[str, Any]:
    """Have the database overwrite what it merely marked as deleted. Raises LedgerUnavailable when others keep it
    from that for too long."""
    with fail_closed():
        return _scrub_sqlite(ledger, patience_s) if ledger.is_sqlite else _scrub_postgresql(ledger)


def _scrub_sqlite(ledger: Ledger, patience_s: float) -> dict[str, Any]:
    # Freed pages are overwritten as they are freed (secure_delete); the write-ahead log still holds the old ones.
    until = time.monotonic() + patience_s
    connection = ledger.engine.raw_connection()
    try:
        while True:
            busy, _, _ = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return {"database": "sqlite", "rewritten": True}
            if time.monotonic() >= until:
                raise LedgerUnavailable("a reader keeps old pages of the ledger in use; try again")
            time.sleep(0.02)  # another process's checkpoint is not waited for by SQLite itself
    finally:
        connection.close()


def _scrub_postgresql(ledger: Ledger) -> dict[str, Any]:
    # A plain VACUUM would leave the old rows' bytes in the pages, so the small tables are written anew.
    names = [table.name for table in _SMALL]
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # Of a table that belongs to another, VACUUM only says that it was skipped.
        owner = text(
            "SELECT bool_and(pg_has_role(relowner, 'USAGE')) FROM pg_class WHERE relname = ANY(:names)"
        )
        owned = bool(connection.execute(owner, {"names": names}).scalar())
        if owned:
            connection.execute(text(f"VACUUM (FULL) {', '.join(names)}"))
            connection.execute(text("VACUUM clips"))
    return {"database": "postgresql", "rewritten": owned}


def speaks_elsewhere(connection: Connection, tenant: str, subject_id: str, voice_id: str) -> bool:
    """Whether the person has another voice here: then their name and contact stay."""
    others = (
        rows_of(voices, tenant, subject_id=subject_id)
        & (voices.c.voice_id != voice_id)
        & (voices.c.state != "decommissioned")
    )
    return bool(connection.execute(select(func.count()).where(others)).scalar())
