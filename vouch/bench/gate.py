"""What consent costs: a decision, and a whole audited request, against the least that the same database could do."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine, text

from consent_service.models import Allow, Closing, Deny, SpeechClaim
from vouch.bench.figures import Figure, rates
from vouch.bench.house import PURPOSE, House, temporary_house
from vouch.output import Failed

_AUDIO = hashlib.sha256(b"no audio was made").hexdigest()


def measure(seconds: float) -> Iterator[Figure]:
    """`decision`: authorize, against a SELECT of the voice's row. `audited`: authorize, redeem (with the reference
    sealed to a replica) and close, against an INSERT that is committed; both in the ledger's own file."""
    with temporary_house() as house, _bare(house) as peer:
        find = text("SELECT * FROM voices WHERE voice_id = :voice_id")
        note = text("INSERT INTO bare (entry) VALUES (:entry)")

        def select() -> float:
            with peer.connect() as connection:
                connection.execute(find, {"voice_id": house.voice_id}).one()
            return 1.0

        def insert() -> float:
            with peer.begin() as connection:
                connection.execute(note, {"entry": "x" * 400})  # about an audit entry's size
            return 1.0

        numbers = itertools.count()

        def decide() -> float:
            _allowed(house, next(numbers))
            return 1.0

        def audited() -> float:
            allowed = _allowed(house, next(numbers))
            house.service.redeem(allowed.token, house.replica.replica_id)
            house.service.close_clip(allowed.grant.grant_id, Closing("completed", 1.0, _AUDIO))
            return 1.0

        ours, bare = rates([decide, select], seconds / 2)
        yield Figure("gate", "decision", ours, "decisions/s", "sqlalchemy-select", bare)
        ours, bare = rates([audited, insert], seconds / 2)
        yield Figure("gate", "audited", ours, "requests/s", "sqlalchemy-insert-commit", bare)


def _allowed(house: House, number: int) -> Allow:
    said = hashlib.sha256(str(number).encode()).hexdigest()
    claim = SpeechClaim("clone", house.voice_id, "en", said, 40, PURPOSE)
    decision = house.service.authorize(house.narrator, claim)
    if isinstance(decision, Deny):
        raise Failed(decision.code, decision.reason)
    return decision


@contextmanager
def _bare(house: House) -> Iterator[Engine]:
    """The ledger's file, opened with nothing around it (SQLite's own default is synchronous=FULL, as the ledger's)."""
    engine = create_engine(house.config.url)
    try:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE bare (id INTEGER PRIMARY KEY, entry TEXT NOT NULL)"))
        yield engine
    finally:
        engine.dispose()
