"""The migrations and the tables say the same, and a ledger of another age is not touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text

from consent_service.config import ConsentConfig
from consent_service.errors import LedgerUnavailable
from consent_service.ledger import schema
from consent_service.ledger.engine import Ledger
from consent_service.ledger.tables import api_keys, metadata
from consent_service.service import ConsentService
from tests.assets.databases import DATABASES, drop, new_postgresql
from tests.assets.installation import Tenant


@pytest.fixture(params=DATABASES)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    url = None if request.param == "sqlite" else new_postgresql(migrated=False)
    config = ConsentConfig(data_dir=tmp_path / "data", ledger_url=url)
    ConsentService.open(config).close()
    opened = Ledger(config.url, busy_timeout_s=1.0)
    yield opened
    opened.close()
    if url is not None:
        drop(url)


def test_migrating_gives_exactly_the_tables(ledger: Ledger) -> None:
    with ledger.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_program_knows_the_last_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]


def test_a_ledger_of_a_later_version_is_left_alone(ledger: Ledger) -> None:
    with ledger.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerUnavailable, match="later version"):
        schema.migrate(ledger)
    with ledger.read() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"


@pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)
def test_a_commit_is_on_the_disk_when_it_returns(ledger: Ledger) -> None:
    with ledger.write() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL
        assert connection.execute(text("PRAGMA secure_delete")).scalar() == 1


def test_a_write_that_fails_leaves_nothing(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), ledger.write() as connection:
        connection.execute(text("INSERT INTO tenants (tenant, created_at) VALUES ('ghost', 0)"))
        raise ZeroDivisionError
    with ledger.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM tenants")).scalar() == 0


def test_what_is_stored_fits_its_column_where_the_database_looks(world: Tenant) -> None:
    """SQLite ignores a column's length; PostgreSQL does not."""
    world.service.gate.redeem(world.allow().token, world.replica.replica_id)
    filled = 0
    with world.core.ledger.read() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(table.select()).mappings():
                for column in table.c:
                    longest = getattr(column.type, "length", None)
                    if longest is not None and row[column.name] is not None:
                        assert len(row[column.name]) <= longest, column
                        filled += 1
    assert filled > 50


def test_what_was_there_before_salts_gets_one_each(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite3"
    ledger = Ledger(f"sqlite:///{path}", busy_timeout_s=1.0)
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    with ledger.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        for tenant in ("one", "two"):
            connection.execute(
                text(f"INSERT INTO log_heads (tenant, size, peaks) VALUES ('{tenant}', 0, '')")
            )
    schema.migrate(ledger)
    with ledger.read() as connection:
        salts = connection.execute(text("SELECT said_salt FROM log_heads")).scalars().all()
    assert len(set(salts)) == 2
    assert {len(salt) for salt in salts} == {32}
    ledger.close()


def test_who_installed_an_older_ledger_answers_for_it(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'old.sqlite3'}", busy_timeout_s=1.0)
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    with ledger.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        for at, tenant in enumerate(("first", "second")):
            connection.execute(text(f"INSERT INTO tenants (tenant, created_at) VALUES ('{tenant}', {at})"))
            for key, label, maker in (("a", "bootstrap", "NULL"), ("b", "bootstrap", f"'{tenant}a'")):
                connection.execute(
                    text(
                        "INSERT INTO api_keys (key_id, tenant, secret_sha256, grantee, roles, claims, label, "
                        f"created_at, created_by) VALUES ('{tenant}{key}', '{tenant}', '', 'g', "
                        f"'[\"operator\"]', '{{}}', '{label}', {at}, {maker})"
                    )
                )
    schema.migrate(ledger)
    with ledger.read() as connection:
        rows = connection.execute(select(api_keys.c.key_id, api_keys.c.roles)).all()
    assert [key for key, roles in rows if "installation" in roles] == ["firsta"]
    ledger.close()
