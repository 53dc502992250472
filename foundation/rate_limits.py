"""Rate limits by name (an address, a key id): token buckets, in bounded memory.

Buckets belong to one process and run on the monotonic clock; an installation of N processes allows N times as much.
What a limit is for, and what it says to whom it stops, is its owner's.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

MOST_BUCKETS: Final = 8192


class Buckets:
    """Token buckets by name. Thread-safe. A bucket that has filled up again is forgotten; when too many are in use,
    the one that was touched longest ago is."""

    def __init__(
        self,
        burst: int,
        per_s: float,
        *,
        most: int = MOST_BUCKETS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst, self._per_s, self._most, self._clock = float(burst), per_s, most, clock
        # Digest of the name (a caller chose it, and its length) → (tokens, as of).
        self._levels: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, name: str) -> float:
        """Seconds until the bucket holds a token; 0.0 when it does."""
        with self._lock:
            return max(0.0, (1.0 - self._level(_digest(name))) / self._per_s)

    def take_up_to(self, name: str, tokens: int) -> int:
        """Take as many of them as there are; returns how many."""
        bucket = _digest(name)
        with self._lock:
            level = self._level(bucket)
            taken = min(tokens, max(0, int(level)))
            if taken:
                self._keep(bucket, level - taken)
            return taken

    def is_full(self, name: str) -> bool:
        with self._lock:
            return self._level(_digest(name)) >= self._burst

    def take(self, name: str, *, least: float = 0.0) -> None:
        """Take a token, down to `least`: below nothing, what was taken must be earned again first."""
        bucket = _digest(name)
        with self._lock:
            self._keep(bucket, max(least, self._level(bucket) - 1.0))

    def __len__(self) -> int:
        return len(self._levels)

    def _keep(self, bucket: bytes, tokens: float) -> None:
        self._levels[bucket] = (tokens, self._clock())
        self._levels.move_to_end(bucket)
        while len(self._levels) > self._most:
            self._levels.popitem(last=False)

    def _level(self, bucket: bytes) -> float:
        tokens, since = self._levels.get(bucket, (self._burst, 0.0))
        tokens = min(self._burst, tokens + (self._clock() - since) * self._per_s)
        if tokens >= self._burst:
            self._levels.pop(bucket, None)
        return tokens


def _digest(name: str) -> bytes:
    return blake2b(name.encode(errors="surrogatepass"), digest_size=16).digest()
