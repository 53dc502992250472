"""One transaction on one tenant, as the operations see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, insert, text, update

from consent_service.ledger.log import LogWriter
from consent_service.ledger.tables import counters, revocations
from consent_service.models import Revocation

EVERYONE: Final = "*"  # the tenant of rows that belong to the installation
FEED: Final = "revocations"
CHANNEL: Final = "vouch_revocations"
_NOTIFY: Final = text(f"NOTIFY {CHANNEL}")
_DRAW: Final = (
    update(counters)
    .where(counters.c.tenant == EVERYONE, counters.c.name == FEED)
    .values(value=counters.c.value + 1)
    .returning(counters.c.value)
)


@dataclass(frozen=True, slots=True)
class WriteTransaction:
    """A transaction on one tenant, with its audit log locked. It all happens, or nothing does."""

    connection: Connection
    tenant: str
    log: LogWriter
    now: float

    def publish_revocation(
        self, voice_id: str, epoch: int, consent_id: str | None, reason: str
    ) -> Revocation:
        """Append to the feed that gates and replicas follow."""
        # Drawing the number first holds its row until the commit: no reader sees 8 before 7.
        seq = self.connection.execute(_DRAW).scalar_one()
        entry = Revocation(seq, self.tenant, voice_id, epoch, consent_id, reason, self.now)
        self.connection.execute(
            insert(revocations),
            {
                "seq": seq,
                "tenant": self.tenant,
                "voice_id": voice_id,
                "voice_epoch": epoch,
                "consent_id": consent_id,
                "reason": reason,
                "at": self.now,
            },
        )
        if self.connection.dialect.name == "postgresql":
            self.connection.execute(_NOTIFY)  # delivered when this commits
        return entry
