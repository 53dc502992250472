"""How long a leaf lives (RFC 5280 §4.1.2.5), and when the next one is due.

Manifests carry no time stamp, and a clip is easiest to verify while its leaf is valid. A consent may last ten years:
a leaf lives for twelve, and is renewed while a third of that is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509

RENEW_BELOW: Final = 1 / 3


@dataclass(frozen=True, slots=True)
class Lifetime:
    """From when to when a certificate counts, in Unix seconds."""

    begins: float
    ends: float

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Lifetime:
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return cls(begin.timestamp(), end.timestamp())

    def left(self, now: float) -> float:
        """The share that is still ahead: 1 when it begins, 0 at its end and after."""
        return min(1.0, max(0.0, (self.ends - now) / (self.ends - self.begins)))

    def is_due(self, now: float) -> bool:
        """Time for the next one."""
        return self.left(now) < RENEW_BELOW

    def is_over(self, now: float) -> bool:
        return now >= self.ends

    @property
    def last_day(self) -> str:
        """For messages: 2038-11-23."""
        return datetime.fromtimestamp(self.ends, UTC).date().isoformat()
