"""The end of what was made of a voice: every copy of every clip deleted, a tombstone left in its place.

A tombstone keeps what recognises a clip and no word of what it said: id, mark, digest, fingerprint, leaf. It
outlives the voice, so that a clip found years later is answered with "decommissioned", not with "unknown".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select, update

from consent_service.clips import stores
from consent_service.core import Core
from consent_service.ledger.rows import rows_of
from consent_service.ledger.tables import clips, redemptions
from consent_service.objects import delete_every_copy, everything_under

TOMBSTONE: Final = "tombstone"
_AT_ONCE: Final = 500
_HANDS: Final = 16  # an object store answers slowly, and many at once
_CLIP_ID: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


def delete_clips(core: Core, tenant: str, voice_id: str) -> None:
    """Every registered copy of every clip, then its tombstone; what is a tombstone already stays one."""
    standing = _mine(tenant, voice_id) & (clips.c.state != TOMBSTONE)
    while True:
        with core.ledger.read() as connection:
            query = select(clips.c.clip_id, clips.c.objects).where(standing).limit(_AT_ONCE)
            found = connection.execute(query).all()
        if not found:
            return
        _delete(uri for row in found for uri in row.objects)
        with core.write_as(tenant) as writing:
            # Under the lock no copy is added any more: one that was added since the look is the next round's.
            gone = [row.clip_id for row in found if _objects(writing.connection, row.clip_id) == row.objects]
            ended = standing & clips.c.clip_id.in_(gone)
            writing.connection.execute(update(clips).where(ended).values(state=TOMBSTONE, said_digest=""))


def search_stores(core: Core, tenant: str, voice_id: str, since: float) -> list[dict[str, Any]]:
    """Delete whatever the stores hold that bears the name of one of the voice's clips, and once more the copies of
    clips made after `since`, and of any that has more than one, since a copy may be added at any age: it may have been
    put in its place while the others were deleted. Tells of each store how much was left in it."""
    report = []
    for uri in stores.of_tenant(core, tenant):
        left = 0
        for chunk in _chunks(everything_under(uri)):
            # Several files may bear the name of one clip: a making that failed leaves each time one of its own.
            named = [
                (clip_id, each) for each in chunk for clip_id in _CLIP_ID.findall(each.rpartition("/")[2])
            ]
            with core.ledger.read() as connection:
                query = select(clips.c.clip_id).where(
                    _mine(tenant, voice_id), clips.c.clip_id.in_({clip_id for clip_id, _ in named})
                )
                mine = set(connection.execute(query).scalars())
            ours = list(dict.fromkeys(each for clip_id, each in named if clip_id in mine))
            _delete(ours)
            left += len(ours)
        report.append({"store": hashlib.sha256(uri.encode()).hexdigest(), "found_unregistered": left})
    with core.ledger.read() as connection:
        query = select(clips.c.created_at, clips.c.objects).where(_mine(tenant, voice_id))
        _delete(
            uri
            for row in connection.execute(query.execution_options(yield_per=1000))
            if row.created_at >= since or len(row.objects) > 1
            for uri in row.objects
        )
    return report


def account(connection: Connection, tenant: str, voice_id: str) -> dict[str, Any]:
    """What the certificate says of the clips. The digest is over the lines `clip_id SP audio_sha256 LF` in order of
    the ids, so that whoever holds the tombstones can compute it."""
    digest, count, copies = hashlib.sha256(), 0, 0
    columns = (clips.c.clip_id, clips.c.audio_sha256, clips.c.objects)
    query = select(*columns).where(_mine(tenant, voice_id)).order_by(clips.c.clip_id)
    for row in connection.execute(query.execution_options(yield_per=1000)):
        digest.update(f"{row.clip_id} {row.audio_sha256}\n".encode())
        count, copies = count + 1, copies + len(row.objects)
    unclosed = (
        select(func.count())
        .select_from(redemptions.join(clips, redemptions.c.clip_id == clips.c.clip_id))
        .where(_mine(tenant, voice_id), redemptions.c.tenant == tenant, redemptions.c.closing_leaf.is_(None))
    )
    return {
        "tombstones": count,
        "copies": copies,
        "digest": digest.hexdigest(),
        "never_closed": connection.execute(unclosed).scalar_one(),
    }


def forget_places(connection: Connection, tenant: str, voice_id: str) -> None:
    """Nothing lies there any more."""
    connection.execute(update(clips).where(_mine(tenant, voice_id)).values(objects=[]))


def _objects(connection: Connection, clip_id: str) -> list[str]:
    return list(connection.execute(select(clips.c.objects).where(clips.c.clip_id == clip_id)).scalar_one())


def _delete(uris: Iterable[str]) -> None:
    with ThreadPoolExecutor(_HANDS, thread_name_prefix="deletion") as hands:
        for _ in hands.map(delete_every_copy, uris):
            pass


def _mine(tenant: str, voice_id: str) -> ColumnElement[bool]:
    return rows_of(clips, tenant, voice_id=voice_id)


def _chunks(uris: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(uris)
    while chunk := list(islice(rest, _AT_ONCE)):
        yield chunk
