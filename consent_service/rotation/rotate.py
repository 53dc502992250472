"""Rotating keys: a new current key, the old ones kept as long as they are needed, every step resumable.

    publish     the next key lies in its ring, unused, until every process must have seen it
    announce    each tenant's log says which key follows which
    promote     the next key becomes the current one; a superseded signing secret is gone from this moment
    close off   log and receipt keys only: each tenant's log says until where the old key counts (`superseded`)
    rewrap      key-encryption keys only: every voice's data key, one by one
    retire      on command, after the overlap: the old key is forgotten

Each step is one write, and a ring says how far it came: a rotation that died is finished by asking for it again (then
its announcement may stand in a log twice). Public halves of log and receipt keys stay for ever, as do the watermark's
secrets: what they made is verified as long as anybody has it. A lock lets one rotation at a time through; reading
processes need none.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import select

from consent_service.access import Permission
from consent_service.clips import watermarks
from consent_service.core import Core
from consent_service.errors import Conflict
from consent_service.keys.ring import KeyRing, Ring
from consent_service.keys.rings import RingProvider
from consent_service.ledger.engine import fail_closed
from consent_service.ledger.tables import tenants
from consent_service.models import Principal
from consent_service.rotation import rewrap, superseded
from consent_service.rotation.rewrap import ProgressCallback
from foundation.private_files import locked

_LOCK: Final = ".rotating.lock"
_LOCK_NUMBER: Final = 0x766F7563686B  # PostgreSQL advisory lock: "vouchk"


class KeyKind(StrEnum):
    """What can be rotated."""

    GRANT = "grant"
    LOG = "log"
    RECEIPT = "receipt"
    KEK = "kek"
    MANIFEST = "manifest"
    WATERMARK = "watermark"


# A watermark's epoch costs every later detection one more attempt, and a leaf lives for years: only when named.
USUAL: Final = (KeyKind.GRANT, KeyKind.LOG, KeyKind.RECEIPT, KeyKind.KEK)
_KEEP_SECRET: Final = frozenset({Ring.KEK, Ring.WATERMARK})
_TO_FINISH: Final = frozenset({Ring.KEK, *superseded.BOUNDED})  # by steps that follow the promotion
RETIRABLE: Final = frozenset({KeyKind.GRANT, KeyKind.KEK})


@dataclass(frozen=True, slots=True)
class Rotated:
    """One key followed another. `resumed`: an earlier rotation was finished, no new key was made. `left`: data keys
    that are still wrapped under an older key."""

    kind: KeyKind
    old: str
    new: str
    resumed: bool = False
    rewrapped: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class Retired:
    """Keys that no longer verify or unwrap anything."""

    kind: KeyKind
    key_ids: tuple[str, ...]


def replace_key(
    core: Core, by: Principal, keys: RingProvider, kind: KeyKind, progress: ProgressCallback
) -> Rotated:
    """A new current key of one kind, or the end of its rotation. Raises Conflict (key_not_new) when the KMS has no new
    key."""
    if kind is KeyKind.MANIFEST:
        return renew_leaf(core, by, keys)
    ring = Ring(kind.value)
    before = keys.ring(ring)
    resumed = before.coming is not None or before.unfinished
    after = before if before.unfinished else _replace(core, by, keys, ring, before)
    old = max(after.superseded, key=lambda kid: after.superseded[kid].superseded_at or 0.0)
    if ring not in _TO_FINISH:
        return Rotated(kind, old, after.current, resumed)
    time.sleep(keys.box.behind_s)  # until then others may still wrap under the old key, or sign with it
    done = left = 0
    if ring is Ring.KEK:
        done, left = rewrap.rewrap(core, keys, progress)
    else:
        superseded.close_off(core, by, ring, after)
    keys.write_ring(ring, keys.ring(ring).finished())
    return Rotated(kind, old, after.current, resumed, done, left)


def _replace(core: Core, by: Principal, keys: RingProvider, ring: Ring, before: KeyRing) -> KeyRing:
    """Publish, announce, promote."""
    published = before
    if before.coming is None:
        first = watermarks.current_epoch(core) + 1 if ring is Ring.WATERMARK else 1
        kid, key = keys.new_key(ring, from_epoch=first)
        if kid in before.keys:
            raise Conflict(
                "kms.kek still names a key that is in use: make a new one in the KMS, and let the alias or the "
                "configuration name that",
                code="key_not_new",
            )
        published = before.publish(kid, key)
        keys.write_ring(ring, published)
    coming = published.coming or ""
    time.sleep(keys.box.behind_s)  # nobody may meet a key that they can't know
    if ring is Ring.WATERMARK:
        watermarks.open_epoch(core, published.keys[coming].from_epoch)
    _announce(core, by, "key.rotated", ring=ring.value, old=published.current, new=coming)
    promoted = published.promote(
        core.clock(), keep_secret=ring in _KEEP_SECRET, unfinished=ring in _TO_FINISH
    )
    keys.write_ring(ring, promoted)
    return promoted


def renew_leaf(core: Core, by: Principal | None, keys: RingProvider) -> Rotated:
    """Announce and write, by whom `alone` let through; None: the process itself."""
    old = keys.leaf_afresh().leaf_id
    content, new = keys.new_leaf(datetime.fromtimestamp(core.clock(), UTC))
    keys.write_leaf(keys.leaf_file())  # as it is: who may not write here must not tell the logs of a new one
    _announce(core, by, "key.rotated", ring=KeyKind.MANIFEST.value, old=old, new=new)
    keys.write_leaf(content)
    return Rotated(KeyKind.MANIFEST, old, new)


def retire_keys(
    core: Core, by: Principal, keys: RingProvider, ring: Ring, progress: ProgressCallback
) -> Retired:
    """Forget the superseded keys of one ring. Raises Conflict (key_overlap, key_in_use)."""
    held = keys.ring(ring)
    leaving = tuple(held.superseded)
    if not leaving:
        return Retired(KeyKind(ring.value), ())
    begun = max(held.keys[kid].superseded_at or 0.0 for kid in leaving)
    until = begun + core.config.key_overlap_s
    if core.clock() < until:
        at = datetime.fromtimestamp(until, UTC).isoformat(timespec="seconds")
        raise Conflict(
            f"the old {ring.value} key is kept until {at}: others may still use it", code="key_overlap"
        )
    if ring is Ring.KEK:
        rewrap.rewrap(core, keys, progress)
        left = rewrap.wrapped_under(core, keys, leaving)
        if left:
            raise Conflict(
                f"{left} data keys are still wrapped under it: end enrolments and decommissionings that are under "
                "way, sweep the vault (`vouch voice sweep --recordings --confirm`), then retire it again",
                code="key_in_use",
            )
    _announce(core, by, "key.retired", ring=ring.value, old=",".join(leaving))
    for kid in leaving:
        held = held.without(kid)
    keys.write_ring(ring, held)
    return Retired(KeyKind(ring.value), leaving)


def _announce(core: Core, by: Principal | None, kind: str, **what: str) -> None:
    """To every tenant's log. Whose API key did it is told to its own tenant alone."""
    with core.ledger.read() as connection:
        everyone = connection.execute(select(tenants.c.tenant).order_by(tenants.c.tenant)).scalars().all()
    for tenant in everyone:
        with core.write_as(tenant) as writing:
            whose = by.key_id if by is not None and by.tenant == tenant else None
            writing.log.append(kind, by=whose, **what)


@contextmanager
def alone(core: Core, by: Principal | None) -> Iterator[RingProvider]:
    """One rotation at a time, on this machine and, with PostgreSQL, in the cluster. by: None for what a process does
    without being asked."""
    if by is not None:
        with core.read(by, Permission.KEY_ROTATE):
            pass
    if not isinstance(core.keys, RingProvider):
        raise Conflict("these keys are not ours to rotate", code="keys_not_rotatable")
    with fail_closed(), locked(core.config.data_dir / _LOCK):
        if core.ledger.is_sqlite:
            yield core.keys
            return
        with core.ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({_LOCK_NUMBER})")
            try:
                yield core.keys
            finally:  # the server lets go of it with the connection, but this one goes back to a pool
                connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_LOCK_NUMBER})")
