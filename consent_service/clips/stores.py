"""Where the doors keep what they make of a voice: each place is registered before anything lies in it.

The register of clips names every copy that was finished. A store is searched as well, because a process that died
leaves what no register knows: whatever bears the id of one of a voice's clips in its name is that voice's.

Deletion goes where a clip's record points. So a record may point only into a store, in a shared one only into its
tenant's folder, and no store may hold the keys or the vault: else whoever registers clips could have anything deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from sqlalchemy import insert, select

from consent_service.core import EVERYONE, Core
from consent_service.errors import InvalidInput
from consent_service.ids import require_tenant
from consent_service.ledger.rows import find_row
from consent_service.ledger.tables import clip_stores
from consent_service.vault.sealing import NODE_FOLDER

KINDS = ("cache", "output")


def register(core: Core, uri: str, kind: str, tenant: str | None) -> None:
    """Idempotent. `tenant` None: a store that every tenant shares."""
    if kind not in KINDS or not uri:
        raise InvalidInput("a store has a URI and is a cache or an output")
    place = uri if "://" in uri else str(Path(uri).absolute())
    _require_harmless(core, place)
    row = {
        "tenant": EVERYONE if tenant is None else require_tenant(tenant),
        "uri_sha256": hashlib.sha256(place.encode()).hexdigest(),
    }
    with core.ledger.read() as connection:
        if find_row(connection, clip_stores, **row) is not None:
            return
    with core.ledger.write() as connection:
        if find_row(connection, clip_stores, **row) is None:
            values = {**row, "uri": place, "kind": kind, "registered_at": core.clock()}
            connection.execute(insert(clip_stores), values)


@dataclass(frozen=True, slots=True)
class AllowedLocations:
    """Where the copies of a tenant's clips may lie."""

    parts: tuple[tuple[str, ...], ...]

    def require(self, uris: Iterable[str]) -> None:
        """Raises InvalidInput (object_outside_stores)."""
        for uri in uris:
            inside = _parts(uri)
            if ".." in inside or not any(place == inside[: len(place)] != inside for place in self.parts):
                raise InvalidInput(
                    "a clip's copies lie in a registered store, in a shared one in the folder of their tenant",
                    code="object_outside_stores",
                )


def places(core: Core, tenant: str) -> AllowedLocations:
    query = select(clip_stores.c.tenant, clip_stores.c.uri).where(
        clip_stores.c.tenant.in_((tenant, EVERYONE))
    )
    with core.ledger.read() as connection:
        found = connection.execute(query).all()
    return AllowedLocations(
        tuple(_parts(row.uri) + ((tenant,) if row.tenant == EVERYONE else ()) for row in found)
    )


def _require_harmless(core: Core, place: str) -> None:
    """Raises InvalidInput for a place that holds, or lies in, what the service itself keeps."""
    config = core.config
    kept = [config.keys_place, config.vault_place, config.wrapped_keys_place, config.data_dir / NODE_FOLDER]
    if core.ledger.is_sqlite:
        kept.append(core.ledger.path.absolute())
    mine = _parts(place)
    for each in kept:
        theirs = _parts(str(each.absolute() if isinstance(each, Path) else each))
        if mine == theirs[: len(mine)] or theirs == mine[: len(theirs)]:
            raise InvalidInput("a store of clips holds neither keys nor the vault nor the ledger")


def _parts(uri: str) -> tuple[str, ...]:
    """Scheme, bucket and path of a URI, comparable: a path and its `file:` form are one."""
    split = urlsplit(uri)
    if split.scheme in ("", "file"):
        return ("file", "", *PurePosixPath(unquote(split.path) if split.scheme else uri).parts[1:])
    return (split.scheme, split.netloc, *(part for part in split.path.split("/") if part))


def of_tenant(core: Core, tenant: str) -> list[str]:
    """URIs of every store that may hold something of the tenant's."""
    query = select(clip_stores.c.uri).where(clip_stores.c.tenant.in_((tenant, EVERYONE)))
    with core.ledger.read() as connection:
        return sorted(connection.execute(query).scalars())
