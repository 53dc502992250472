"""Watermark tags: allotted in sequence, for every tenant from one counter, never twice.

A 24-bit tag is too short to be random without colliding and too short to be a public id. The counter runs on
across epochs: `divmod` by the size of an epoch gives epoch and tag, so that an epoch closes before its tags
run out. A reader of a clip learns the epoch by trying its key.

A process draws a block at a time, in a transaction of its own: redemptions of different tenants then don't wait for
one counter. What a process has not used when it ends is never used.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Final

from sqlalchemy import bindparam, select, update

from consent_service.core import Core
from consent_service.ledger.engine import Ledger
from consent_service.ledger.tables import counters
from consent_service.ledger.transaction import EVERYONE
from consent_service.proofs.records import WatermarkTag

# Half of what 24 bits hold: the rest is never allotted, and so shows misreadings.
TAGS_PER_EPOCH: Final = 1 << 23
BLOCK: Final = 64
_MINE: Final = (counters.c.tenant == EVERYONE) & (counters.c.name == "watermark")
_DRAW: Final = (
    update(counters)
    .where(_MINE)
    .values(value=counters.c.value + bindparam("more"))
    .returning(counters.c.value)
)


class Tags:
    """This process's tags. Thread-safe."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._mutex = threading.Lock()
        self._free: deque[WatermarkTag] = deque()

    def take(self, count: int = 1) -> list[WatermarkTag]:
        """The next `count` tags. Not inside of a transaction: it may need one."""
        with self._mutex:
            missing = count - len(self._free)
            if missing > 0:
                more = max(BLOCK, missing)
                with self._ledger.write() as connection:
                    end: int = connection.execute(_DRAW, {"more": more}).scalar_one()
                self._free += (_tag(number) for number in range(end - more, end))
            return [self._free.popleft() for _ in range(count)]

    def give_back(self, tags: Iterable[WatermarkTag]) -> None:
        """Tags that were certainly never written anywhere."""
        with self._mutex:
            self._free += tags


def current_epoch(core: Core) -> int:
    with core.ledger.look() as connection:
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
