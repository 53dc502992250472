"""A process that dies in the middle of redeeming leaves all of it or none of it, and a log that verifies."""

from __future__ import annotations

import itertools
import random
import signal
from pathlib import Path

import pytest

from consent_service.proofs.log import verify_export
from tests.assets.installation import Tenant
from tests.integration.consent_service import workers

pytestmark = pytest.mark.on_both_databases

ROUNDS = 12


def redeem_and_kill(world: Tenant, tokens: list[str], pick: random.Random) -> dict[str, int]:
    """Let a process redeem, kill it at a random point, and return what it had answered (grant → leaf)."""
    context = workers.processes()
    ours, theirs = context.Pipe()
    process = context.Process(target=workers.redeem_until_killed, args=(world.config, tokens, theirs))
    process.start()
    theirs.close()
    told = dict(ours.recv() for _ in range(pick.randrange(1, 40)))
    for _ in range(pick.randrange(200_000)):
        pass  # a random while, finer than any sleep, into the next redemption
    process.kill()
    process.join()
    try:
        while True:
            told |= [ours.recv()]
    except EOFError:
        return told


def redemptions(world: Tenant, folder: Path) -> dict[str, int]:
    """The used grants and their leaves; checks that nonce, entry and clip agree, and that the log verifies."""
    entries = [entry for entry in world.log() if entry["kind"] == "speech.redeemed"]
    in_log = {str(entry["grant"]): int(str(entry["n"])) for entry in entries}
    spent = dict(world.rows("SELECT grant_id, leaf FROM redemptions"))
    clips = dict(world.rows("SELECT clip_id, audit_leaf FROM clips"))
    assert spent == in_log  # never a nonce without its entry, nor the reverse
    assert clips == {str(entry["clip"]): entry["n"] for entry in entries}
    world.service.log.export(world.auditor, folder)
    assert verify_export(folder).kinds.get("speech.redeemed", 0) == len(in_log)
    return in_log


def test_killed_at_any_moment_a_redemption_is_whole_or_never_was(world: Tenant, tmp_path: Path) -> None:
    pick, told = random.Random(9), {}
    for number in range(ROUNDS):
        tokens = [world.allow(f"{number}-{row}").token for row in range(150)]
        told |= redeem_and_kill(world, tokens, pick)
    assert told.items() <= redemptions(world, tmp_path / "export").items()  # what was answered is on the disk


def test_killed_before_any_statement_nothing_is_used_up_and_the_grant_still_works(
    world: Tenant, tmp_path: Path
) -> None:
    context, allowed = workers.processes(), world.allow()
    for step in itertools.count(1):
        _ours, theirs = context.Pipe()
        arguments = (world.config, allowed.token, step, theirs)
        process = context.Process(target=workers.redeem_and_die, args=arguments)
        process.start()
        theirs.close()
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        assert redemptions(world, tmp_path / "export") == {}
    assert step > 8  # it died in many places before it got through
    assert list(redemptions(world, tmp_path / "export")) == [allowed.grant.grant_id]
