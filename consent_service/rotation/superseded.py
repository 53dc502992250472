"""Until where in each tenant's log a superseded key counts.

A signature says nothing reliable of its time, and whoever stole a key can date what they sign as they like. The log
can't be dated back: when a key of the log or of receipts has been replaced everywhere, an entry in every tenant's log
says so, and nothing that rests on a longer log is taken from that key any more (`proofs.trust`). What a thief signs
over a shorter one must fit the log as it was then, which whoever holds the log sees.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from consent_service.core import Core
from consent_service.keys.ring import KeyRing, Ring
from consent_service.keys.rings import RingProvider
from consent_service.ledger.tables import superseded_keys, tenants
from consent_service.models import Principal

BOUNDED = (Ring.LOG, Ring.RECEIPT)  # what these signed is verified for ever; a grant dies within the hour


def close_off(core: Core, by: Principal, ring: Ring, held: KeyRing) -> None:
    """Bound every superseded key of a ring in each tenant's log, once. By now no process may sign with it. Whose
    API key did it is told to its own tenant alone."""
    with core.ledger.read() as connection:
        everyone = connection.execute(select(tenants.c.tenant).order_by(tenants.c.tenant)).scalars().all()
    for tenant in everyone:
        with core.write_as(tenant) as writing:
            known = ends(writing.connection, tenant)
            for kid, key in held.superseded.items():
                if key.public is None or key.public in known:
                    continue
                leaf = writing.log.append(
                    "key.superseded", by=by.key_id if tenant == by.tenant else None, ring=ring.value, old=kid
                )
                _bound(writing.connection, tenant, key.public, leaf + 1)


def bound_for_new_tenant(core: Core, connection: Connection, tenant: str) -> None:
    """A key that was superseded before a log began never signed for it."""
    if not isinstance(core.keys, RingProvider):
        return
    for ring in map(core.keys.ring, BOUNDED):
        if ring.unfinished:
            continue  # it still runs, and closes off this log as well
        for key in ring.superseded.values():
            if key.public is not None:
                _bound(connection, tenant, key.public, 0)


def ends(connection: Connection, tenant: str) -> dict[bytes, int]:
    """Public key → the longest log of this tenant that it may have signed."""
    query = select(superseded_keys).where(superseded_keys.c.tenant == tenant)
    return {bytes(row.public_key): row.log_size for row in connection.execute(query)}


def _bound(connection: Connection, tenant: str, public_key: bytes, log_size: int) -> None:
    row = {"tenant": tenant, "public_key": public_key, "log_size": log_size}
    connection.execute(insert(superseded_keys), row)
