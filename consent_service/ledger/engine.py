"""Connections and transactions. Every database error leaves here as LedgerUnavailable (DESIGN I2).

SQLite runs with a write-ahead log, `synchronous=FULL` (a commit is on the disk when it returns) and writers
that begin with BEGIN IMMEDIATE, so that no transaction finds out at its commit that another was faster.
Statement parameters are kept out of error texts: they hold digests of secrets and names.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from consent_service.errors import LedgerUnavailable

_WRITES = "vouch_writes"


class Ledger:
    """One database. Thread-safe; any number of processes may open it at once."""

    def __init__(self, url: str, *, busy_timeout_s: float) -> None:
        with fail_closed():
            address = make_url(url)
            self.is_sqlite = address.get_backend_name() == "sqlite"
            self.path = Path(address.database or "")
            options: dict[str, Any] = {"hide_parameters": True, "pool_timeout": busy_timeout_s}
            if self.is_sqlite and address.database in (None, "", ":memory:"):
                raise LedgerUnavailable("a ledger in memory would forget what it audited; give it a file")
            if self.is_sqlite:
                # No cap on connections: a reader must never wait for a writer's connection.
                options |= {"pool_size": 16, "max_overflow": -1, "connect_args": {"timeout": busy_timeout_s}}
            else:
                # Twice (see below): a process holds at most 32 connections, and an idle one a dozen.
                options |= {"pool_size": 6, "max_overflow": 10, "connect_args": _patience(busy_timeout_s)}
            self.engine: Engine = create_engine(address, **options)
            # Connections of their own: a single query then passes none of the machinery of transactions.
            alone: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
            self._lookers: Engine = create_engine(address, **options, **alone)
        if self.is_sqlite:
            self._writers = self.engine.execution_options(**{_WRITES: True})
            self._readers = self.engine
        else:
            # A writer waits for the lock of its tenant's log and must then see what the holder left; a reader asks
            # for one snapshot. Neither is left to the server's defaults.
            self._writers = self.engine.execution_options(isolation_level="READ COMMITTED")
            self._readers = self.engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        self.busy_timeout_s = busy_timeout_s
        # Threads of one process queue here; SQLite's own waiting polls, and is neither quick nor fair. PostgreSQL
        # locks a tenant's log only: tenants don't wait for each other.
        self._turn = threading.Lock() if self.is_sqlite else None
        if self.is_sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self._lookers, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot; writes nothing."""
        with fail_closed(), self._readers.connect() as connection:
            yield connection

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """For a single query: a statement is a snapshot by itself, and needs no transaction around it."""
        with fail_closed(), self._lookers.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: committed when the block ends, undone when it raises."""
        if self._turn is not None and not self._turn.acquire(timeout=self.busy_timeout_s):
            raise LedgerUnavailable("the ledger is busy; try again")
        try:
            with fail_closed(), self._writers.begin() as connection:
                yield connection
        finally:
            if self._turn is not None:
                self._turn.release()

    def listen(self, channel: str) -> Any:
        """A connection of its own that PostgreSQL notifies; None on SQLite, which can't. The caller closes it."""
        if self.is_sqlite:
            return None
        with fail_closed():
            pooled = self._lookers.raw_connection()
            connection: Any = pooled.driver_connection
            pooled.detach()
            connection.execute(f"LISTEN {channel}")
            return connection

    def close(self) -> None:
        self.engine.dispose()
        self._lookers.dispose()


@contextmanager
def fail_closed() -> Iterator[None]:
    """Any error of database or disk: nothing may be synthesised."""
    try:
        yield
    except (SQLAlchemyError, OSError) as exc:
        raise LedgerUnavailable("the ledger cannot be reached; try again, or ask its operator") from exc


def create_sqlite_file(path: Path) -> None:
    """An empty file that only its owner may read; the write-ahead log takes over its mode."""
    path.touch(mode=0o600, exist_ok=True)


def _patience(seconds: float) -> dict[str, Any]:
    """libpq: how long to wait for the server (it counts in seconds, 2 at least) and for another's lock."""
    return {
        "connect_timeout": max(2, math.ceil(seconds)),
        "options": f"-c lock_timeout={round(seconds * 1000)}",
    }


def _configure_sqlite(connection: Any, _record: object) -> None:
    # The driver's own idea of transactions is switched off; `_begin_sqlite` begins them.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "secure_delete=ON",  # a deleted name or salt is overwritten, not just unlinked
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
