"""What consent costs: a decision, and an audited request, against the least that the same database could do.

On SQLite and, where a server can be had, on PostgreSQL; alone and with sixteen callers. `decision` is look-up and
policy, against a bare SELECT; `granted` adds the signed grant; `audited` is decision, grant, redemption and committed
audit entry, against a bare INSERT and COMMIT; `closed` adds the second record of the same request, another commit.
What a thousand rows in one call cost, and how soon a withdrawal is heard of, is in `benchmarks/gate.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vouch.bench.callers import rates_of
from vouch.bench.figures import Figure, Work
from vouch.bench.gate_cases import Bare, Gate, bare
from vouch.bench.house import temporary_house
from vouch.bench.postgresql import server

CALLERS: Final = (1, 16)


def measure(seconds: float, *, postgresql: str | None = None) -> Iterator[Figure]:
    """`seconds` in all, over both databases. `postgresql`: the URL of an empty database; None: a server of its own."""
    with server(postgresql) as url:
        databases = [("sqlite", None)] + ([("postgresql", url)] if url is not None else [])
        for name, ledger_url in databases:
            yield from _measure(name, ledger_url, seconds / len(databases))


def _measure(database: str, ledger_url: str | None, seconds: float) -> Iterator[Figure]:
    with temporary_house(ledger_url) as house, bare(house) as peer:
        gate = Gate(house)
        cases = [case for callers in CALLERS for case in _requests(gate, peer, callers)]
        for case, work, unit, peer_name, peer_work, callers in cases:
            ours, theirs = rates_of([work, peer_work], seconds / len(cases), callers)
            yield Figure("gate", f"{database}-{case}", ours, unit, peer_name, theirs)


def _requests(gate: Gate, peer: Bare, callers: int) -> list[tuple[str, Work, str, str, Work, int]]:
    read, write = "sqlalchemy-select", "sqlalchemy-insert-commit"
    return [
        (f"decision-{callers}", gate.decide, "decisions/s", read, peer.select, callers),
        (f"granted-{callers}", gate.authorize, "grants/s", read, peer.select, callers),
        (f"audited-{callers}", gate.audit, "requests/s", write, peer.insert, callers),
        (f"closed-{callers}", gate.audit_and_close, "requests/s", write, peer.insert, callers),
    ]
