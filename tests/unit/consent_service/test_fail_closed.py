"""Whatever breaks in the ledger, nothing is allowed, and the error says so and no more (DESIGN I2)."""

from __future__ import annotations

import inspect
import pickle
import sys
from pathlib import Path

import pytest
from sqlalchemy import inspect as inspect_database
from sqlalchemy import text

from consent_service.config import ConsentConfig
from consent_service.errors import ConsentError, LedgerUnavailable, StorageUnavailable
from consent_service.service import ConsentService
from foundation.private_files import KeyFileUnsafe
from tests.assets.installation import Tenant

pytestmark = pytest.mark.on_both_databases


def break_table(world: Tenant, table: str) -> None:
    with world.core.ledger.write() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO broken"))


@pytest.mark.parametrize(
    "table",
    ["api_keys", "voices", "consents", "clips", "redemptions", "log_heads", "log_entries", "log_nodes"],
)
def test_a_broken_table_means_unavailable_and_no_used_grant(world: Tenant, table: str) -> None:
    allowed = world.allow()
    break_table(world, table)
    with pytest.raises(LedgerUnavailable):
        world.service.gate.redeem(allowed.token, world.replica.replica_id)
    with world.core.ledger.read() as connection:
        tables = inspect_database(connection).get_table_names()
        if "redemptions" in tables:
            assert not connection.execute(text("SELECT grant_id FROM redemptions")).all()
        if "log_entries" in tables:
            entries = connection.execute(text("SELECT entry FROM log_entries")).scalars()
            assert not any(b"speech.redeemed" in bytes(entry) for entry in entries)


@pytest.mark.parametrize("table", ["api_keys", "voices", "consents", "bindings"])
def test_a_gate_that_can_not_look_up_does_not_allow(world: Tenant, table: str) -> None:
    break_table(world, table)
    with pytest.raises(LedgerUnavailable):
        world.service.gate.authorize(world.narrator, world.claim())


def test_a_refusal_that_can_not_be_recorded_is_no_answer(world: Tenant) -> None:
    break_table(world, "log_entries")
    with pytest.raises(LedgerUnavailable):
        world.service.gate.authorize(world.narrator, world.claim(purpose="advertising"))


def test_a_ledger_that_another_holds_is_unavailable_after_the_wait(world: Tenant) -> None:
    config = world.config.model_copy(update={"busy_timeout_s": 0.05})
    impatient = ConsentService.open(config, clock=world.clock)
    allowed = world.allow()
    with world.core.write_as("acme"):  # on SQLite it locks the ledger, on PostgreSQL this tenant's log
        with pytest.raises(LedgerUnavailable):
            impatient.gate.redeem(allowed.token, world.replica.replica_id)
        assert impatient.gate.authorize(world.narrator, world.claim())  # who only reads does not wait
    impatient.gate.redeem(allowed.token, world.replica.replica_id)
    impatient.close()


def test_a_failing_disk_under_the_vault_is_unavailable(world: Tenant) -> None:
    allowed = world.allow()
    sealed = world.data_dir / "vault" / "acme" / world.voice.voice_id / "reference.sealed"
    sealed.unlink()
    sealed.mkdir()  # reading it is an error of the disk
    with pytest.raises(StorageUnavailable):
        world.service.gate.redeem(allowed.token, world.replica.replica_id)
    assert world.log()[-1]["reason"] == "storage_unavailable"


def test_a_file_that_is_no_ledger_is_not_opened(tmp_path: Path) -> None:
    config = ConsentConfig(data_dir=tmp_path / "data")
    ConsentService.open(config).close()
    for path in (tmp_path / "data").glob("ledger.sqlite3*"):
        path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(LedgerUnavailable):
        ConsentService.open(config)


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "nonsense", "sqlite:////nowhere/at/all.sqlite3"]
)
def test_a_ledger_that_can_not_be_is_not_opened(tmp_path: Path, url: str) -> None:
    with pytest.raises(LedgerUnavailable):
        ConsentService.open(ConsentConfig(data_dir=tmp_path / "data", ledger_url=url))


def test_a_data_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    with pytest.raises(KeyFileUnsafe):
        ConsentService.open(ConsentConfig(data_dir=tmp_path / "data"))


def test_no_error_text_holds_what_a_statement_held(world: Tenant) -> None:
    break_table(world, "subjects")
    with pytest.raises(LedgerUnavailable) as refused:
        world.enrol()
    told: list[str] = []
    cause: BaseException | None = refused.value
    while cause is not None:
        told.append(str(cause))
        cause = cause.__cause__
    assert "A Person" not in " ".join(told)
    assert len(told) > 1


def subclasses(kind: type[ConsentError]) -> set[type[ConsentError]]:
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def test_every_error_is_in_the_tree_has_a_code_of_its_own_kind_and_crosses_processes() -> None:
    for kind in subclasses(ConsentError):
        tree = inspect.getdoc(sys.modules[kind.__module__]) or ""
        assert kind.__name__ in tree
        if kind is not ConsentError:
            assert kind.code in tree or kind.code == "grant_invalid"
        carried = pickle.loads(pickle.dumps(kind("message", code="its_own")))
        assert (type(carried), carried.code, carried.message) == (kind, "its_own", "message")
