"""Watermark tags: allotted in sequence, for every tenant from one counter, never twice.

A 24-bit tag is too short to be random without colliding and too short to be a public id. The counter runs on
across epochs: `divmod` by the size of an epoch gives epoch and tag, so that an epoch closes before its tags
run out. A reader of a clip learns the epoch by trying its key.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import insert, select, update

from consent_service.core import EVERYONE, Core, Writing
from consent_service.ledger.tables import counters
from consent_service.proofs.seams import WatermarkTag

TAGS_PER_EPOCH: Final = (
    1 << 23
)  # half of what 24 bits hold: the rest is never allotted, and so shows misreadings
_COUNTER: Final = "watermark"
_MINE: Final = (counters.c.tenant == EVERYONE) & (counters.c.name == _COUNTER)


def allot(writing: Writing, count: int = 1) -> list[WatermarkTag]:
    """The next `count` tags; undone with the transaction."""
    connection = writing.connection
    if not connection.execute(update(counters).where(_MINE).values(value=counters.c.value + count)).rowcount:
        connection.execute(insert(counters), {"tenant": EVERYONE, "name": _COUNTER, "value": count})
    end = connection.execute(select(counters.c.value).where(_MINE)).scalar_one()
    return [_tag(number) for number in range(end - count, end)]


def current_epoch(core: Core) -> int:
    with core.ledger.read() as connection:
        drawn = connection.execute(select(counters.c.value).where(_MINE)).scalar() or 0
    return _tag(max(0, drawn - 1)).epoch


def open_epoch(core: Core, epoch: int) -> None:
    """Draw from `epoch` on, at least: the epochs before it are closed. Idempotent. Tags that processes hold already
    are still used, under their own epoch's key."""
    begin = (epoch - 1) * TAGS_PER_EPOCH
    with core.ledger.write() as connection:
        connection.execute(update(counters).where(_MINE, counters.c.value < begin).values(value=begin))


def keys(core: Core) -> dict[int, bytes]:
    """Every epoch's key, newest first."""
    return {epoch: core.keys.watermark_key(epoch) for epoch in range(current_epoch(core), 0, -1)}


def _tag(number: int) -> WatermarkTag:
    epoch, tag = divmod(number, TAGS_PER_EPOCH)
    return WatermarkTag(epoch + 1, tag)
