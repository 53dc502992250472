"""A process that dies at any step of rotating every key loses none, and leaves nothing that the next try can't end."""

from __future__ import annotations

import itertools
import random
import signal
from pathlib import Path

import pytest

from consent_service.keys.ring import Ring
from consent_service.keys.rings import RingProvider
from consent_service.models import Allow
from consent_service.proofs.log import verify_export
from consent_service.rotation.rotate import KeyKind
from consent_service.service import ConsentService
from consent_service.vault.sealing import open_reference
from tests.assets.installation import DAY, Tenant
from tests.integration.consent_service import workers

pytestmark = pytest.mark.on_both_databases


def rotate_until(world: Tenant, step: int) -> int | None:
    """Rotate in a process that dies before its `step`-th step. Returns how many steps there were if it did not."""
    context = workers.processes()
    ours, theirs = context.Pipe()
    process = context.Process(target=workers.rotate_and_die, args=(world.config, world.admin, step, theirs))
    process.start()
    theirs.close()
    process.join()
    if process.exitcode == 0:
        return int(ours.recv())
    assert process.exitcode == -signal.SIGKILL
    return None


def everything_works(world: Tenant, service: ConsentService, text: str) -> None:
    """Each voice is opened, and a grant signed and used up, in this process."""
    vault = service._core.vault
    for tenant, voice_id in vault.voices():
        assert vault._data_key(tenant, voice_id)
    allowed = service.gate.authorize(world.narrator, world.claim(text))
    assert isinstance(allowed, Allow), allowed
    redeemed = service.gate.redeem(allowed.token, world.replica.replica_id)
    assert open_reference(world.replica, redeemed)[0].startswith(b"RIFF")


def finish(world: Tenant) -> None:
    """Ask again, in this process; then nothing is left under way, and the old keys can go."""
    rotated = world.service.rotation.rotate(world.admin, list(KeyKind))
    assert [one.left for one in rotated] == [0] * len(rotated)
    keys = world.service.keys
    assert isinstance(keys, RingProvider)
    for ring in map(keys.ring, Ring):
        assert ring.coming is None
        assert not ring.unfinished
    world.clock.now += 2 * DAY
    world.service.rotation.retire(world.admin)
    assert len(keys.ring(Ring.KEK).keys) == len(keys.ring(Ring.GRANT).keys) == 1


def die_at(world: Tenant, steps: list[int], folder: Path) -> None:
    world.enrol("Another voice", 210.0)
    for number in steps:
        before = world.allow(f"before {number}")
        rotate_until(world, number)  # one that goes on where another died may get through: it has less to do
        everything_works(world, world.service, f"running {number}")  # a process that ran all along
        assert world.service.gate.redeem(before.token, world.replica.replica_id)
        fresh = ConsentService.open(world.config, clock=world.clock)
        everything_works(world, fresh, f"fresh {number}")
        fresh.close()
    finish(world)
    everything_works(world, world.service, "after all")
    world.service.log.export(world.auditor, folder)
    assert verify_export(folder).kinds["key.rotated"] >= len(KeyKind)


def test_killed_at_random_steps_a_rotation_can_always_be_finished(world: Tenant, tmp_path: Path) -> None:
    total = rotate_until(world, -1)
    assert total is not None
    assert total > 40  # it writes, announces and rewraps in many places
    die_at(world, random.Random(5).sample(range(1, total), 5), tmp_path / "export")


@pytest.mark.long
def test_killed_at_every_step_a_rotation_can_always_be_finished(world: Tenant, tmp_path: Path) -> None:
    world.enrol("Another voice", 210.0)
    for step in itertools.count(1):
        if rotate_until(world, step) is not None:
            break
        everything_works(world, world.service, f"step {step}")
    assert step > 40
    finish(world)
    everything_works(world, world.service, "after all")
    world.service.log.export(world.auditor, tmp_path / "export")
    assert verify_export(tmp_path / "export")
