"""The revocation feed: what gates and replicas follow, so that a withdrawal bites within a second (DESIGN I5).

A consumer pulls, and what it has pulled is complete up to the last number. On PostgreSQL a notification wakes it the
moment a revocation is committed (`Wakeup`); underneath, and on SQLite, it asks again a few times a second, because a
notification can be lost. A consumer that could not ask for longer than `STALE_AFTER_S` knows nothing any more and
must act as if everything were revoked (DESIGN I2): `Freshness` measures that by the monotonic clock, which nobody sets.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from sqlalchemy import bindparam, func, select

from consent_service.core import Core
from consent_service.errors import LedgerUnavailable
from consent_service.ledger.rows import from_row
from consent_service.ledger.tables import revocations as table
from consent_service.ledger.transaction import CHANNEL
from consent_service.models import Revocation

log = logging.getLogger("vouch.consent")

MAX_AT_ONCE: Final = 10_000
STALE_AFTER_S: Final = 0.7
POLL_S: Final = 0.1
_AFTER: Final = (
    select(table).where(table.c.seq > bindparam("after")).order_by(table.c.seq).limit(bindparam("most"))
)

_HEAD: Final = select(func.coalesce(func.max(table.c.seq), 0))


def revocations(core: Core, after: int, limit: int) -> list[Revocation]:
    """Entries with seq > `after`, oldest first. A consumer that pulled up to the last one missed none before
    it."""
    with core.ledger.look() as connection:
        rows = connection.execute(_AFTER, {"after": after, "most": min(limit, MAX_AT_ONCE)}).mappings()
        return [from_row(Revocation, row) for row in rows]


def head(core: Core) -> int:
    """The number of the last entry; 0 before the first."""
    with core.ledger.look() as connection:
        return int(connection.execute(_HEAD).scalar_one())


class Freshness:
    """How old a consumer's knowledge is: as old as the moment at which it last *asked* and was then answered.
    Whatever was committed before that moment is in the answer. Thread-safe."""

    def __init__(
        self, *, stale_after_s: float = STALE_AFTER_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stale_after_s, self._clock = stale_after_s, clock
        self._asked_at = float("-inf")

    def asking(self) -> float:
        """Call before asking; hand the result to `answered`."""
        return self._clock()

    def answered(self, asked_at: float) -> None:
        self._asked_at = max(self._asked_at, asked_at)

    @property
    def age_s(self) -> float:
        return self._clock() - self._asked_at

    @property
    def is_fresh(self) -> bool:
        return self.age_s <= self._stale_after_s

    def require(self) -> None:
        """Raises LedgerUnavailable when the knowledge is too old to allow anything."""
        if not self.is_fresh:
            raise LedgerUnavailable("what is known of revocations is too old; nothing is released")


class Wakeup:
    """Waits for a notification of the feed; where there are none, for the time alone. For one thread."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._listener: Any = None  # a psycopg connection that listens
        self._listen()

    def wait(self, seconds: float) -> None:
        """Until a notification comes or time is up."""
        if self._listener is None and not self._listen():
            time.sleep(seconds)
            return
        try:
            for _ in self._listener.notifies(timeout=seconds, stop_after=1):
                pass
        except Exception as exc:  # noqa: BLE001 - whatever the driver raises: polling goes on, and listens again
            log.warning("listening for revocations was interrupted: %s", type(exc).__name__)
            self.close()
            time.sleep(seconds)

    def close(self) -> None:
        """Idempotent."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def __enter__(self) -> Wakeup:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> bool:
        try:
            self._listener = self._core.ledger.listen(CHANNEL)
        except LedgerUnavailable:
            return False
        return self._listener is not None


class RevocationStream:
    """The feed after a number, as an iterator that waits. `close` ends it from any thread; so does leaving a `with`.

    A ledger that can't be reached ends nothing: the stream keeps asking, and `freshness` says since when it knows no
    better. One thread iterates.
    """

    def __init__(
        self, core: Core, after: int = 0, *, poll_s: float = POLL_S, freshness: Freshness | None = None
    ) -> None:
        self._core, self._after, self._poll_s = core, after, poll_s
        self.freshness = freshness or Freshness()
        self._ready: deque[Revocation] = deque()
        self._closed = threading.Event()
        self._wakeup = Wakeup(core)

    def __iter__(self) -> Iterator[Revocation]:
        return self

    def __next__(self) -> Revocation:
        while not self._ready:
            if self._closed.is_set():
                self._wakeup.close()
                raise StopIteration
            if not self.pull():
                self._wakeup.wait(self._poll_s)
        return self._ready.popleft()

    def pull(self) -> bool:
        """Ask once; whether anything came."""
        asked_at = self.freshness.asking()
        try:
            found = revocations(self._core, self._after, MAX_AT_ONCE)
        except LedgerUnavailable as exc:
            log.warning("the revocation feed cannot be read: %s", exc.code)
            return False
        if found:
            self._after = found[-1].seq
            self._ready += found
        self.freshness.answered(asked_at)
        return bool(found)

    def close(self) -> None:
        """Idempotent; a thread that waits in the stream is let go within `poll_s`."""
        self._closed.set()

    def __enter__(self) -> RevocationStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._wakeup.close()
