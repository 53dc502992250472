"""What the gate does, and the least that the same database could do, as pieces of work to be timed."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    insert,
    select,
)

from consent_service.gate.authorize import judge
from consent_service.ledger.tables import voices
from consent_service.models import Allow, Closing, SpeechClaim
from vouch.bench.house import PURPOSE, House
from vouch.output import Failed

ENTRY: Final = "x" * 400  # about an audit entry's size
AUDIO: Final = hashlib.sha256(b"no audio was made").hexdigest()
BARE: Final = Table(
    "bare", MetaData(), Column("id", Integer, primary_key=True), Column("entry", Text, nullable=False)
)


class Gate:
    """Ours. Every method does one piece of work and returns how much that was."""

    def __init__(self, house: House) -> None:
        self.house, self.service = house, house.service
        self.core = house.service._core  # the inside of the service is what is measured
        self._numbers = itertools.count()

    def decide(self) -> float:
        """Look-up and policy, nothing granted."""
        if not judge(self.core, self.house.narrator, [self._claim()]).verdicts[0]:
            raise Failed("refused", "the benchmark's own claim was refused")
        return 1.0

    def authorize(self) -> float:
        """The same, and a signed grant."""
        self.allowed(1)
        return 1.0

    def audit(self) -> float:
        """A grant, used up: the audit entry committed, the reference sealed to the replica."""
        (allowed,) = self.allowed(1)
        self.service.gate.redeem(allowed.token, self.house.replica.replica_id)
        return 1.0

    def audit_and_close(self) -> float:
        """The whole of a request, its second audit record included."""
        (allowed,) = self.allowed(1)
        self.service.gate.redeem(allowed.token, self.house.replica.replica_id)
        self.service.gate.close(allowed.grant.grant_id, Closing("completed", 1.0, AUDIO))
        return 1.0

    def allowed(self, count: int) -> list[Allow]:
        decisions = self.service.gate.authorize_many(
            self.house.narrator, [self._claim() for _ in range(count)]
        )
        allowed = [each for each in decisions if isinstance(each, Allow)]
        if len(allowed) != count:
            raise Failed("refused", "the benchmark's own claim was refused")
        return allowed

    def _claim(self) -> SpeechClaim:
        said = hashlib.sha256(str(next(self._numbers)).encode()).hexdigest()
        return SpeechClaim("clone", self.house.voice_id, "en", said, 40, PURPOSE)


class Bare:
    """The peer: the ledger's own database through the same library, with nothing around it."""

    def __init__(self, engine: Engine, voice_id: str) -> None:
        self.engine = engine
        self._find = select(voices).where(voices.c.voice_id == voice_id)
        self._note = insert(BARE)

    def select(self) -> float:
        with self.engine.connect() as connection:
            connection.execute(self._find).one()
        return 1.0

    def insert(self) -> float:
        with self.engine.begin() as connection:
            connection.execute(self._note, {"entry": ENTRY})
        return 1.0


@contextmanager
def bare(house: House) -> Iterator[Bare]:
    """SQLite's own default is synchronous=FULL, as the ledger's; a patience of its own, for many callers."""
    patience = {"timeout": 60} if house.config.url.startswith("sqlite") else {}
    engine = create_engine(house.config.url, connect_args=patience, pool_size=16)
    try:
        BARE.create(engine)
        yield Bare(engine, house.voice_id)
    finally:
        BARE.drop(engine)
        engine.dispose()
