"""What crashed processes leave in the ledger, cleared away now and then: grants that were used up and never closed, by
their tenant's operator; and the keys of replicas that are gone, by whoever answers for the installation, since replicas
serve every tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, select

from consent_service.access import Permission
from consent_service.core import Core
from consent_service.errors import InvalidInput
from consent_service.gate import redeem
from consent_service.ledger.tables import redemptions, replicas, tenants
from consent_service.models import Closing, Principal

ABANDONED_AFTER_S: Final = 3600.0  # longer than any clip takes
MIN_REPLICA_AGE_S: Final = 3600.0
OLD_REPLICA_AFTER_S: Final = 7 * 86_400.0  # what `vouch doctor` calls old
_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Backlog:
    """What upkeep would clear away, of every tenant."""

    open_grants: int  # redeemed over an hour ago, without a second audit record
    old_replicas: int  # registered over a week ago: gone, or not restarted since


def backlog(core: Core) -> Backlog:
    """A local operation, without a principal: counts, and nothing of anybody."""
    now = core.clock()
    with core.ledger.read() as connection:
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


def close_abandoned(core: Core, by: Principal, older_than_s: float = ABANDONED_AFTER_S) -> int:
    """Give every grant that was redeemed so long ago and never closed its second record: failed, abandoned. Returns
    how many. A process that closes it after all is told the leaf of this one."""
    closed = 0
    while True:
        with core.read(by, Permission.KEY_MANAGE) as reading:
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
        redeem.close_all(core, by.tenant, found, Closing("failed", reason="abandoned"))
        closed += len(found)


def forget_replicas(core: Core, by: Principal, registered_before_s: float) -> int:
    """Delete the keys of replicas that registered longer ago than this; returns how many. One that still runs is
    refused from then on, and registers anew when it restarts: choose a time after the last restart of all."""
    if registered_before_s < MIN_REPLICA_AGE_S:
        raise InvalidInput("replicas that registered within the last hour are not forgotten")
    with core.write(by, Permission.REPLICA_FORGET) as writing:
        old = replicas.c.registered_at < writing.now - registered_before_s
        gone = writing.connection.execute(delete(replicas).where(old)).rowcount
        if gone:
            writing.log.append("replicas.forgotten", by=by.key_id, replicas=gone)
        return gone
