"""What crashed processes leave in the ledger, cleared away now and then: grants that were used up and never closed, by
their tenant's operator; and the keys of replicas that are gone, by whoever answers for the installation, since replicas
serve every tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select

from consent_service.access import Permission
from consent_service.core import Core
from consent_service.gate import redeem
from consent_service.ledger.tables import redemptions, replicas, tenants
from consent_service.models import Closing, Principal

ABANDONED_AFTER_S: Final = 3600.0  # longer than any clip takes
OLD_REPLICA_AFTER_S: Final = 7 * 86_400.0  # what `vouch doctor` calls old
_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Backlog:
    """What upkeep would clear away, of every tenant."""

    open_grants: int  # redeemed over an hour ago, without a second audit record
    old_replicas: int  # registered over a week ago: gone, or not restarted since


class Abandoned:
    """What processes that died left behind. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def close(self, by: Principal, older_than_s: float = ABANDONED_AFTER_S) -> int:
        """Close grants that were redeemed so long ago and never closed, as failed; how many. A process that
        closes one after all is told the leaf of this record. Needs OPERATOR."""
        closed = 0
        while True:
            with self._core.read(by, Permission.KEY_MANAGE) as reading:
                old = reading.now - max(0.0, older_than_s)
                query = (
                    select(redemptions.c.grant_id)
                    .where(redemptions.c.tenant == reading.tenant)
                    .where(redemptions.c.closing_leaf.is_(None), redemptions.c.redeemed_at < old)
                    .limit(_AT_ONCE)
                )
                found = list(reading.connection.execute(query).scalars())
            if not found:
                return closed
            redeem.close_all(self._core, by.tenant, found, Closing("failed", reason="abandoned"))
            closed += len(found)

    def backlog(self) -> Backlog:
        """How much `close_abandoned` and `forget_replicas` have to do, for every tenant. Local operation."""
        now = self._core.clock()
        with self._core.ledger.read() as connection:
            names = list(connection.execute(select(tenants.c.tenant)).scalars())
            grants = (
                select(func.count())
                .select_from(redemptions)
                .where(
                    redemptions.c.tenant.in_(names),
                    redemptions.c.closing_leaf.is_(None),
                    redemptions.c.redeemed_at < now - ABANDONED_AFTER_S,
                )
            )
            old = (
                select(func.count())
                .select_from(replicas)
                .where(replicas.c.registered_at < now - OLD_REPLICA_AFTER_S)
            )
            return Backlog(connection.execute(grants).scalar_one(), connection.execute(old).scalar_one())
