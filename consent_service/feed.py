"""The revocation feed: what gates and replicas follow, so that a withdrawal bites within a second (DESIGN
I5)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select

from consent_service.core import Core
from consent_service.ledger.tables import revocations as table
from consent_service.models import Revocation

MAX_AT_ONCE: Final = 10_000


def revocations(core: Core, after: int, limit: int) -> list[Revocation]:
    """Entries with seq > `after`, oldest first. A consumer that pulled up to the last one missed none before
    it."""
    query = select(table).where(table.c.seq > after).order_by(table.c.seq).limit(min(limit, MAX_AT_ONCE))
    with core.ledger.read() as connection:
        return [
            Revocation(row.seq, row.tenant, row.voice_id, row.voice_epoch, row.consent_id, row.reason, row.at)
            for row in connection.execute(query)
        ]
