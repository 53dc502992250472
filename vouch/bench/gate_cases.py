"""What the gate does, and the least that the same database could do, as pieces of work to be timed."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    create_engine,
    insert,
    select,
    update,
)

from consent_service.gate.authorize import judge
from consent_service.ledger.tables import voices
from consent_service.models import Allow, Closing, Redeemed, SpeechClaim
from consent_service.proofs.seams import ClipRecord
from vouch.bench.house import PURPOSE, House
from vouch.output import Failed

MANY: Final = 1000
_ENTRY: Final = "x" * 400  # about an audit entry's size
_AUDIO: Final = hashlib.sha256(b"no audio was made").hexdigest()
_bare: Final = Table(
    "bare", MetaData(), Column("id", Integer, primary_key=True), Column("entry", Text, nullable=False)
)


_CHANGE: Final = update(_bare).where(_bare.c.id == bindparam("of")).values(entry=_ENTRY)


class Gate:
    """Ours. Every method does one piece of work and returns how much that was."""

    def __init__(self, house: House) -> None:
        self._house, self._service = house, house.service
        self._core = house.service._core  # the inside of the service is what is measured
        self._numbers = itertools.count()
        self._clips: list[ClipRecord] = []

    def decide(self) -> float:
        """Look-up and policy, nothing granted."""
        if not judge(self._core, self._house.narrator, [self._claim()]).verdicts[0]:
            raise Failed("refused", "the benchmark's own claim was refused")
        return 1.0

    def authorize(self) -> float:
        """The same, and a signed grant."""
        self._allowed(1)
        return 1.0

    def audit(self) -> float:
        """A grant, used up: the audit entry committed, the reference sealed to the replica."""
        (allowed,) = self._allowed(1)
        self._service.gate.redeem(allowed.token, self._house.replica.replica_id)
        return 1.0

    def audit_and_close(self) -> float:
        """The whole of a request, its second audit record included."""
        (allowed,) = self._allowed(1)
        self._service.gate.redeem(allowed.token, self._house.replica.replica_id)
        self._service.gate.close(allowed.grant.grant_id, Closing("completed", 1.0, _AUDIO))
        return 1.0

    def authorize_many(self) -> float:
        """A thousand rows of one job."""
        return float(len(self._allowed(MANY)))

    def redeem_many(self) -> float:
        """Two hundred rows of one job: each holds a sealed copy of the reference."""
        tokens = [allowed.token for allowed in self._allowed(200)]
        redeemed = self._service.gate.redeem_many(tokens, self._house.replica.replica_id)
        if not all(isinstance(each, Redeemed) for each in redeemed):
            raise Failed("refused", "the benchmark's own grant was refused")
        return float(len(redeemed))

    def register_many(self) -> float:
        """A thousand finished clips of one job, their grants used up before."""
        if not self._clips:
            self._clips = self._finished(MANY)
        if any(self._service.clips.register_clips(self._clips)):
            raise Failed("refused", "the benchmark's own clips were refused")
        return float(len(self._clips))

    def _finished(self, count: int) -> list[ClipRecord]:
        """As a stamper describes them. Registering one again writes as much as the first time."""
        store = self._house.config.data_dir / "clips-of-a-job"
        self._service.clips.register_store(str(store), "output", tenant=self._house.narrator.tenant)
        tokens = [allowed.token for allowed in self._allowed(count)]
        redeemed = self._service.gate.redeem_many(tokens, self._house.replica.replica_id)
        records = [each.clip_record(created_at=0.0) for each in redeemed if isinstance(each, Redeemed)]
        return [
            replace(each, audio_sha256=_AUDIO, seconds=1.0, objects=(f"{store}/{each.clip_id}.wav",))
            for each in records
        ]

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

    def _allowed(self, count: int) -> list[Allow]:
        decisions = self._service.gate.authorize_many(
            self._house.narrator, [self._claim() for _ in range(count)]
        )
        allowed = [each for each in decisions if isinstance(each, Allow)]
        if len(allowed) != count:
            raise Failed("refused", "the benchmark's own claim was refused")
        return allowed

    def _claim(self) -> SpeechClaim:
        said = hashlib.sha256(str(next(self._numbers)).encode()).hexdigest()
        return SpeechClaim("clone", self._house.voice_id, "en", said, 40, PURPOSE)


class Bare:
    """The peer: the ledger's own database through the same library, with nothing around it."""

    def __init__(self, engine: Engine, voice_id: str) -> None:
        self._engine = engine
        self._find = select(voices).where(voices.c.voice_id == voice_id)
        self._note = insert(_bare)
        self._ids: list[dict[str, int]] | None = None

    def select(self) -> float:
        with self._engine.connect() as connection:
            connection.execute(self._find).one()
        return 1.0

    def insert(self) -> float:
        with self._engine.begin() as connection:
            connection.execute(self._note, {"entry": _ENTRY})
        return 1.0

    def update_many(self) -> float:
        """As many rows found by their key and changed as `register_many` does."""
        with self._engine.begin() as connection:
            if self._ids is None:
                rows = [{"entry": _ENTRY}] * MANY
                made = connection.execute(self._note.returning(_bare.c.id), rows).scalars()
                self._ids = [{"of": each} for each in made]
            connection.execute(_CHANGE, self._ids)
        return float(MANY)

    def insert_many(self) -> float:
        with self._engine.begin() as connection:
            connection.execute(self._note, [{"entry": _ENTRY}] * MANY)
        return float(MANY)


@contextmanager
def bare(house: House) -> Iterator[Bare]:
    """SQLite's own default is synchronous=FULL, as the ledger's; a patience of its own, for many callers."""
    patience = {"timeout": 60} if house.config.url.startswith("sqlite") else {}
    engine = create_engine(house.config.url, connect_args=patience, pool_size=16)
    try:
        _bare.create(engine)
        yield Bare(engine, house.voice_id)
    finally:
        _bare.drop(engine)
        engine.dispose()
