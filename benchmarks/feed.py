"""How soon a consumer of the revocation feed hears of a commit: on SQLite it asks, PostgreSQL wakes it.

Each entry is a narrowing of the benchmark's own consent. The clock starts when the database is told to commit, so that
its disk is counted too; pauses of a random length keep the commits from falling into step with the polling.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from queue import Queue
from typing import Any, Final

import numpy as np
from sqlalchemy import event

from consent_service.gate.revocations import POLL_S
from vouch.bench.figures import Figure
from vouch.bench.house import House

_FEWEST: Final = 3
_PATIENCE_S: Final = 30.0
_CHARACTERS: Final = 10**9  # of the first narrowing; each takes one away


def feed_latency(house: House, database: str, seconds: float) -> Iterator[Figure]:
    """p50, p95 and the longest, in milliseconds."""
    delays = _delays(house, seconds)
    for name, share in (("p50", 50), ("p95", 95), ("max", 100)):
        taken = float(np.percentile(delays, share))
        yield Figure("gate", f"{database}-feed-{name}", taken, "ms", less_is_better=True)


def _delays(house: House, seconds: float) -> list[float]:
    core = house.service._core  # the inside of the service is what is measured
    committed: list[float] = []

    def note(_connection: Any) -> None:
        committed.append(time.perf_counter())

    heard: Queue[float] = Queue()
    seen = house.service.gate.revocations()
    stream = house.service.gate.watch_revocations(seen[-1].seq if seen else 0)

    def listen() -> None:
        for _ in stream:
            heard.put(time.perf_counter())

    listener = threading.Thread(target=listen, name="consumer")
    listener.start()
    event.listen(core.ledger.engine, "commit", note)
    try:
        delays: list[float] = []
        until, budget = time.perf_counter() + seconds, _CHARACTERS
        while len(delays) < _FEWEST or time.perf_counter() < until:
            time.sleep(random.uniform(0.0, POLL_S))
            committed.clear()
            budget -= 1
            house.service.consents.narrow(house.admin, house.consent_id, character_budget=budget)
            delays.append(1000 * (heard.get(timeout=_PATIENCE_S) - committed[-1]))
        return delays
    finally:
        event.remove(core.ledger.engine, "commit", note)
        stream.close()
        listener.join()
