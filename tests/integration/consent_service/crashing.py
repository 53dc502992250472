"""A process that dies at the n-th thing it does: each word to the database and each change of a file counts."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final

from sqlalchemy import event

from consent_service.config import ConsentConfig
from consent_service.models import EnrolmentAnswer, Principal
from consent_service.service import ConsentService
from tests.assets.installation import Clock
from tests.assets.voiced import voiced
from tests.integration.consent_service import workers

# What CPython's audit hooks (PEP 578) tell of changes on the disk.
_CHANGES: Final = frozenset({"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate"})

Operation = Callable[[ConsentService, Principal, str], Any]


def complete(service: ConsentService, by: Principal, enrolment_id: str) -> None:
    service.voices.complete_enrolment(
        by,
        enrolment_id,
        EnrolmentAnswer(
            reference=voiced(4.0), transcript="what is said in the sample", statement=voiced(3.5, hertz=181.0)
        ),
    )


def redeem(service: ConsentService, _: Principal, token: str) -> None:
    service.gate.redeem(token, "acme-replica")


def revoke(service: ConsentService, by: Principal, consent_id: str) -> None:
    service.consents.revoke(by, consent_id, "no more")


def decommission(service: ConsentService, by: Principal, voice_id: str) -> None:
    service.deletion.decommission(by, voice_id, "the end")


def run(
    config: ConsentConfig, operation: Operation, by: Principal, about: str, last: int, line: Connection
) -> None:
    """Do it, and die before the `last`-th thing; tell how many there were if it came to the end."""
    service = ConsentService.open(config, clock=Clock())
    done = itertools.count(1)
    told = 0

    def count() -> None:
        nonlocal told
        told = next(done)
        if told == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        if name in _CHANGES or (name == "open" and _writes(arguments)):
            count()

    sys.addaudithook(hook)
    for moment in ("before_cursor_execute", "commit"):
        event.listen(service._core.ledger.engine, moment, lambda *_: count())
    operation(service, by, about)
    line.send(told)


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 else 0
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def attempt(config: ConsentConfig, operation: Operation, by: Principal, about: str, last: int) -> int | None:
    """In a process of its own: how many things it did, None when it was killed before the end."""
    context = workers.processes()
    ours, theirs = context.Pipe()
    process = context.Process(target=run, args=(config, operation, by, about, last, theirs))
    process.start()
    theirs.close()
    process.join()
    if process.exitcode == 0:
        return int(ours.recv())
    assert process.exitcode == -signal.SIGKILL, process.exitcode
    return None
