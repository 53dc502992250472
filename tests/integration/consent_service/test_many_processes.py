"""One ledger, several processes: gates, replicas and jobs that open the same file at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consent_service.config import ConsentConfig
from consent_service.errors import GrantRevoked
from consent_service.proofs.log import verify_export
from consent_service.service import ConsentService
from tests.assets.databases import DATABASES, new_postgresql
from tests.assets.installation import Tenant
from tests.integration.consent_service import workers

pytestmark = pytest.mark.on_both_databases

PROCESSES = 4


def run_at_once(worker: Callable[..., None], *arguments: Any) -> list[Any]:
    """Start the processes, let them all go at one moment, and return what each of them tells."""
    context = workers.processes()
    lines, running = [], []
    for _ in range(PROCESSES):
        ours, theirs = context.Pipe()
        process = context.Process(target=worker, args=(*arguments, theirs))
        process.start()
        theirs.close()
        lines.append(ours)
        running.append(process)
    assert [line.recv() for line in lines] == ["ready"] * PROCESSES
    for line in lines:
        line.send("go")
    told = [line.recv() for line in lines]
    for process in running:
        process.join()
        assert process.exitcode == 0
    return told


@pytest.mark.parametrize("database", DATABASES)
def test_processes_that_open_a_new_installation_at_once_make_one(database: str, tmp_path: Path) -> None:
    url = None if database == "sqlite" else new_postgresql(migrated=False)
    config = ConsentConfig(data_dir=tmp_path / "data", ledger_url=url)
    told = run_at_once(workers.open_new, config)
    assert [keys == told[0] and len(keys) == 1 for keys in told] == [True] * PROCESSES
    ConsentService.open(config).close()


def test_a_grant_raced_by_processes_is_won_by_one_and_the_log_is_whole(world: Tenant, tmp_path: Path) -> None:
    allowed = [world.allow(str(number)) for number in range(25)]
    won = run_at_once(workers.race, world.config, [each.token for each in allowed])
    assert sorted(grant for wins in won for grant in wins) == sorted(each.grant.grant_id for each in allowed)
    kinds = Counter(world.kinds())
    assert kinds["speech.redeemed"] == kinds["speech.closed"] == len(allowed)
    world.service.log.export(world.auditor, tmp_path / "export")
    assert verify_export(tmp_path / "export").size == len(world.log())


def test_a_withdrawal_in_one_process_is_seen_by_the_others_at_once(world: Tenant) -> None:
    other = ConsentService.open(world.config, clock=world.clock)
    allowed = world.allow()
    revocation = other.consents.revoke(world.admin, world.consent_id, "no more")
    assert world.service.gate.revocations() == [revocation]
    with pytest.raises(GrantRevoked):
        world.service.gate.redeem(allowed.token, world.replica.replica_id)
    other.close()
