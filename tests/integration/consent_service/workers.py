"""What the other processes of these tests do. They start from a clean server that has imported everything once."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext

from sqlalchemy import event

from consent_service.config import ConsentConfig
from consent_service.errors import GrantUsed
from consent_service.models import Closing, Principal
from consent_service.proofs.records import KeyPurpose
from consent_service.rotation.rotate import KeyKind
from consent_service.service import ConsentService
from tests.assets.installation import Clock


def processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "alembic.command"])
    return context


def open_new(config: ConsentConfig, line: Connection) -> None:
    """Say ready, wait for the word, open, and tell the key ids."""
    line.send("ready")
    line.recv()
    service = ConsentService.open(config)
    line.send(sorted(service.keys.public_keys(KeyPurpose.GRANT)))
    service.close()


def race(config: ConsentConfig, tokens: list[str], line: Connection) -> None:
    """Redeem and close whatever no other process got first; tell the grants that were won."""
    service = ConsentService.open(config.model_copy(update={"busy_timeout_s": 30.0}), clock=Clock())
    line.send("ready")
    line.recv()
    won = []
    for token in tokens:
        try:
            redeemed = service.gate.redeem(token, "acme-replica")
        except GrantUsed:
            continue
        service.gate.close(redeemed.grant.grant_id, Closing("completed", 1.0, "ab" * 32))
        won.append(redeemed.grant.grant_id)
    line.send(won)
    service.close()


def redeem_until_killed(config: ConsentConfig, tokens: list[str], line: Connection) -> None:
    """Tell of every redemption as soon as it is answered."""
    service = ConsentService.open(config, clock=Clock())
    for token in tokens:
        redeemed = service.gate.redeem(token, "acme-replica")
        line.send((redeemed.grant.grant_id, redeemed.audit_leaf))


def redeem_and_die(config: ConsentConfig, token: str, step: int, line: Connection) -> None:
    """Kill this process just before its `step`-th word to the database (commits count); tell if it got further."""
    service = ConsentService.open(config, clock=Clock())
    steps = itertools.count(1)

    def count(*_: object) -> None:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    for moment in ("before_cursor_execute", "commit"):
        event.listen(service._core.ledger.engine, moment, count)
    service.gate.redeem(token, "acme-replica")
    line.send("alive")


def rotate_and_die(config: ConsentConfig, by: Principal, step: int, line: Connection) -> None:
    """Rotate every key; kill this process just before its `step`-th word to database or disk; tell how many there
    were if it got through."""
    service = ConsentService.open(config, clock=Clock())
    steps = itertools.count(1)
    taken = 0

    def count(*_: object) -> None:
        nonlocal taken
        taken = next(steps)
        if taken == step:
            os.kill(os.getpid(), signal.SIGKILL)

    for moment in ("before_cursor_execute", "commit"):
        event.listen(service._core.ledger.engine, moment, count)
    # The interpreter's own audit events: a file is opened, renamed, removed.
    sys.addaudithook(lambda name, _: count() if name in ("open", "os.rename", "os.remove") else None)
    service.rotation.rotate(by, list(KeyKind))
    line.send(taken)
    service.close()
