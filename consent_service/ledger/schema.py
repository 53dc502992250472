"""Bringing a ledger to the schema of this version: Alembic, run from the program, one process at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import inspect, text

from consent_service.errors import LedgerUnavailable
from consent_service.ledger.engine import Ledger

HEAD: Final = "0005"
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x766F756368  # PostgreSQL advisory lock: "vouch"


def migrate(ledger: Ledger) -> None:
    """Upgrade to `HEAD` in one transaction. Raises LedgerUnavailable when the ledger is of a later
    version."""
    found = _version(ledger)
    if found == HEAD:
        return
    # Alembic takes a quarter of a second to import: only those who need it pay.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with ledger.write() as connection:
        if not ledger.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as exc:
            raise LedgerUnavailable("the ledger was written by a later version; upgrade this one") from exc


def _version(ledger: Ledger) -> str | None:
    with ledger.read() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
