"""`python -m benchmarks.gate [--seconds S] [--postgresql URL]`: a thousand rows in one call, and the feed's delay.

JSON lines, as `vouch bench gate` prints them for one request at a time.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import bindparam, insert, update

from benchmarks.feed import feed_latency
from consent_service.clips.register import register_many
from consent_service.models import Redeemed
from consent_service.proofs.records import ClipRecord
from vouch.bench.callers import rates_of
from vouch.bench.figures import Figure, Work, machine, show
from vouch.bench.gate_cases import AUDIO, BARE, ENTRY, Bare, Gate, bare
from vouch.bench.house import House, temporary_house
from vouch.bench.postgresql import server
from vouch.output import Failed

MANY: Final = 1000
_CHANGE: Final = update(BARE).where(BARE.c.id == bindparam("of")).values(entry=ENTRY)


class Batches:
    """Ours. Every method does one piece of work and returns how much that was."""

    def __init__(self, house: House) -> None:
        self._gate, self._house = Gate(house), house
        self._core = house.service._core  # the inside of the service is what is measured
        self._redeemer = house.service.gate._redeemer
        self._numbers = itertools.count()
        self._clips: list[ClipRecord] = []

    def authorize_many(self) -> float:
        """A thousand rows of one job."""
        return float(len(self._gate.allowed(MANY)))

    def redeem_many(self) -> float:
        """Two hundred rows of one job: each holds a sealed copy of the reference."""
        return float(len(self._redeemed(200)))

    def register_many(self) -> float:
        """A thousand finished clips of one job, their grants used up before."""
        if not self._clips:
            self._clips = self._finished(MANY)
        if any(register_many(self._core, self._clips)):
            raise Failed("refused", "the benchmark's own clips were refused")
        return float(len(self._clips))

    def append(self) -> float:
        """A thousand audit entries in one transaction."""
        with self._core.write_as(self._house.narrator.tenant) as writing:
            for _ in range(MANY):
                number = next(self._numbers)
                writing.log.append(
                    "speech.refused",
                    by="0" * 16,
                    code="consent_expired",
                    grant=f"{number:032x}",
                    voice="v" * 38,
                )
        return float(MANY)

    def _redeemed(self, count: int) -> list[Redeemed]:
        tokens = [allowed.token for allowed in self._gate.allowed(count)]
        outcomes = self._redeemer.redeem_many(tokens, self._house.replica.replica_id)
        redeemed = [outcome for outcome in outcomes if isinstance(outcome, Redeemed)]
        if len(redeemed) != count:
            raise Failed("refused", "the benchmark's own grant was refused")
        return redeemed

    def _finished(self, count: int) -> list[ClipRecord]:
        """As a stamper describes them. Registering one again writes as much as the first time."""
        store = self._house.config.data_dir / "clips-of-a-job"
        self._house.service.clips.register_store(str(store), "output", tenant=self._house.narrator.tenant)
        records = [redeemed.clip_record(created_at=0.0) for redeemed in self._redeemed(count)]
        return [
            replace(record, audio_sha256=AUDIO, seconds=1.0, objects=(f"{store}/{record.clip_id}.wav",))
            for record in records
        ]


class BareBatches:
    """The peer: as many rows in one transaction, with nothing around it."""

    def __init__(self, peer: Bare) -> None:
        self._engine = peer.engine
        self._ids: list[dict[str, int]] | None = None

    def update_many(self) -> float:
        """As many rows found by their key and changed as `register_many` does."""
        with self._engine.begin() as connection:
            if self._ids is None:
                rows = [{"entry": ENTRY}] * MANY
                made = connection.execute(insert(BARE).returning(BARE.c.id), rows).scalars()
                self._ids = [{"of": each} for each in made]
            connection.execute(_CHANGE, self._ids)
        return float(MANY)

    def insert_many(self) -> float:
        with self._engine.begin() as connection:
            connection.execute(insert(BARE), [{"entry": ENTRY}] * MANY)
        return float(MANY)


def measure(seconds: float, *, postgresql: str | None = None) -> Iterator[Figure]:
    """`seconds` in all, over both databases. `postgresql`: the URL of an empty database; None: a server of its own."""
    with server(postgresql) as url:
        databases = [("sqlite", None)] + ([("postgresql", url)] if url is not None else [])
        for name, ledger_url in databases:
            yield from _measure(name, ledger_url, seconds / len(databases))


def _measure(database: str, ledger_url: str | None, seconds: float) -> Iterator[Figure]:
    with temporary_house(ledger_url) as house, bare(house) as peer:
        batches, bare_batches = Batches(house), BareBatches(peer)
        cases: list[tuple[str, str, Work, str | None, Work | None]] = [
            ("authorize-many", "rows/s", batches.authorize_many, None, None),
            ("redeem-many", "rows/s", batches.redeem_many, None, None),
            (
                "register-many",
                "rows/s",
                batches.register_many,
                "sqlalchemy-update-many-commit",
                bare_batches.update_many,
            ),
            (
                "append-many",
                "entries/s",
                batches.append,
                "sqlalchemy-insert-many-commit",
                bare_batches.insert_many,
            ),
        ]
        for case, unit, work, peer_name, peer_work in cases:
            works = [work] if peer_work is None else [work, peer_work]
            rates = rates_of(works, seconds / (len(cases) + 1), callers=1)
            theirs = rates[1] if peer_work is not None else None
            yield Figure("gate", f"{database}-{case}", rates[0], unit, peer_name, theirs)
        yield from feed_latency(house, database, seconds / (len(cases) + 1))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate")
    parser.add_argument("--seconds", type=float, default=40.0, help="in all")
    parser.add_argument("--postgresql", help="URL of an empty database; default: a server of its own")
    given = parser.parse_args(arguments)
    show(machine())
    for figure in measure(given.seconds, postgresql=given.postgresql):
        show(figure)


if __name__ == "__main__":
    main()
