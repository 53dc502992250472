"""Where the doors keep what they make of a voice: each place is registered before anything lies in it.

The register of clips names every copy that was finished. A store is searched as well, because a process that died
leaves what no register knows: whatever bears the id of one of a voice's clips in its name is that voice's.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from sqlalchemy import insert, select

from consent_service.core import EVERYONE, Core
from consent_service.errors import InvalidInput
from consent_service.ids import require_tenant
from consent_service.ledger.tables import clip_stores

KINDS = ("cache", "output")


def register(core: Core, uri: str, kind: str, tenant: str | None) -> None:
    """Idempotent. `tenant` None: a store that every tenant shares."""
    if kind not in KINDS or not uri:
        raise InvalidInput("a store has a URI and is a cache or an output")
    place = uri if "://" in uri else str(Path(uri).absolute())
    row = {
        "tenant": EVERYONE if tenant is None else require_tenant(tenant),
        "uri_sha256": hashlib.sha256(place.encode()).hexdigest(),
    }
    mine = (clip_stores.c.tenant == row["tenant"]) & (clip_stores.c.uri_sha256 == row["uri_sha256"])
    with core.ledger.read() as connection:
        if connection.execute(select(clip_stores.c.kind).where(mine)).one_or_none():
            return
    with core.ledger.write() as connection:
        if connection.execute(select(clip_stores.c.kind).where(mine)).one_or_none() is None:
            values = {**row, "uri": place, "kind": kind, "registered_at": core.clock()}
            connection.execute(insert(clip_stores), values)


def of_tenant(core: Core, tenant: str) -> list[str]:
    """URIs of every store that may hold something of the tenant's."""
    query = select(clip_stores.c.uri).where(clip_stores.c.tenant.in_((tenant, EVERYONE)))
    with core.ledger.read() as connection:
        return sorted(connection.execute(query).scalars())
