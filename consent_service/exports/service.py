"""The tenant's log, consents and clips as one signed file, all from one snapshot: what `proofs.bundle` reads.

No name, no text and no recording goes into it, nor any key that marks or opens anything.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from sqlalchemy import Connection, select

from consent_service.access import Permission
from consent_service.core import Core, ReadTransaction
from consent_service.errors import InvalidInput
from consent_service.ledger import log
from consent_service.ledger.rows import rows_of
from consent_service.ledger.tables import clips, consents, log_entries, log_nodes, redemptions, voices
from consent_service.models import Principal
from consent_service.policy import terms
from consent_service.proofs.bundle import BundledClip, sign_head
from consent_service.proofs.checkpoint import LogKey
from consent_service.proofs.records import KeyPurpose, Standing
from consent_service.proofs.standings import ConsentStanding, sign_standings
from consent_service.proofs.trust import TrustedKeys
from consent_service.rotation import superseded

_AT_ONCE: Final = 1000


class Exports:
    """`ConsentService.exports`. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def write_bundle(self, by: Principal, file: Path) -> None:
        """One signed file with which clips are verified offline: `proofs.bundle.Bundle.read`. Raises InvalidInput
        (folder_unusable)."""
        with self._core.read(by, Permission.AUDIT_READ) as reading:
            tree = log.current_tree(reading.connection, reading.tenant)
            note = self._core.checkpoint(reading.tenant, tree)
            try:
                with tempfile.TemporaryFile(dir=file.parent) as content:
                    content.write(_standings(self._core, reading, note).encode() + b"\n")
                    count = 0
                    for clip in _clips(reading, tree.size):
                        content.write(clip.to_line())
                        count += 1
                    content.writelines(_leaves(reading.connection, reading.tenant, tree.size))
                    head = sign_head(
                        tenant=reading.tenant,
                        as_of=reading.now,
                        keys=_keys(self._core, reading).to_text(self._core.origin(reading.tenant)),
                        trust_anchor=self._core.keys.trust_anchor(),
                        checkpoint=note,
                        clips=count,
                        content_sha256=_sha256(content),
                        sign=lambda message: self._core.keys.sign(KeyPurpose.RECEIPT, message),
                    )
                    with file.open("wb") as out:
                        out.write(head)
                        shutil.copyfileobj(content, out)
            except OSError as exc:
                raise InvalidInput("the bundle can't be written there", code="folder_unusable") from exc

    def standings(self, by: Principal) -> str:
        """How every consent of the tenant stands now, signed: `proofs.standings.verify_standings`."""
        with self._core.read(by, Permission.AUDIT_READ) as reading:
            note = self._core.checkpoint(reading.tenant, log.current_tree(reading.connection, reading.tenant))
            return _standings(self._core, reading, note)

    def trusted_keys(self, by: Principal) -> str:
        """The public keys of log, receipts and certificates: `proofs.trust.TrustedKeys.from_text`."""
        with self._core.read(by, Permission.AUDIT_READ) as reading:
            return _keys(self._core, reading).to_text(self._core.origin(reading.tenant))


def _keys(core: Core, reading: ReadTransaction) -> TrustedKeys:
    origin = core.origin(reading.tenant)
    logs = tuple(LogKey(origin, raw) for raw in core.keys.public_keys(KeyPurpose.LOG).values())
    ends = superseded.ends(reading.connection, reading.tenant)
    return TrustedKeys(logs, core.keys.public_keys(KeyPurpose.RECEIPT), ends)


def _standings(core: Core, reading: ReadTransaction, note: str) -> str:
    query = select(consents).where(consents.c.tenant == reading.tenant).order_by(consents.c.consent_id)
    ended = _ended(reading)
    listed: list[ConsentStanding] = []
    for row in reading.connection.execute(query).mappings():
        until = terms.from_json(row["terms"]).valid_until
        standing = _standing(row, until, ended, reading.now)
        listed.append(ConsentStanding(row["consent_id"], row["version"], standing, until))
    sign = core.keys.sign
    return sign_standings(
        reading.tenant, reading.now, note, listed, lambda message: sign(KeyPurpose.RECEIPT, message)
    )


def _standing(consent: Any, until: float, ended: set[str], now: float) -> Standing:
    if consent["voice_id"] in ended:
        return Standing.DECOMMISSIONED
    if consent["state"] != "live":
        return Standing.WITHDRAWN
    return Standing.EXPIRED if now >= until else Standing.LIVE


def _clips(reading: ReadTransaction, size: int) -> Iterator[BundledClip]:
    """In the order of their leaves, so that a reader sees the log's order."""
    ended, entry = _ended(reading), log_entries.c
    used, closed = redemptions.c, log_entries.alias("closed")
    joined = (
        clips.join(log_entries, (entry.tenant == clips.c.tenant) & (entry.leaf == clips.c.audit_leaf))
        .outerjoin(redemptions, (used.tenant == clips.c.tenant) & (used.leaf == clips.c.audit_leaf))
        .outerjoin(closed, (closed.c.tenant == clips.c.tenant) & (closed.c.leaf == used.closing_leaf))
    )
    query = (
        select(clips, entry.entry, used.closing_leaf, closed.c.entry.label("closing"))
        .select_from(joined)
        .where(clips.c.tenant == reading.tenant, entry.leaf < size)
    )
    streamed = query.order_by(clips.c.audit_leaf, clips.c.clip_id).execution_options(yield_per=_AT_ONCE)
    for row in reading.connection.execute(streamed).mappings():
        state = Standing.LIVE if row["consent_id"] else Standing.NOT_REQUIRED
        if row["state"] != "live":
            state = Standing.WITHDRAWN
        if row["voice_id"] in ended:
            state = Standing.DECOMMISSIONED
        mark = None if row["watermark_tag"] is None else (row["watermark_epoch"], row["watermark_tag"])
        closing = row["closing"]
        yield BundledClip(
            row["clip_id"],
            row["audio_sha256"],
            state,
            row["audit_leaf"],
            bytes(row["entry"]).decode(),
            mark,
            None if closing is None else row["closing_leaf"],
            None if closing is None else bytes(closing).decode(),
        )


def _leaves(connection: Connection, tenant: str, size: int) -> Iterator[bytes]:
    nodes = log_nodes.c
    query = select(nodes.digest).where(nodes.tenant == tenant, nodes.level == 0, nodes.position < size)
    for row in connection.execute(query.order_by(nodes.position).execution_options(yield_per=_AT_ONCE)):
        yield bytes(row.digest)


def _ended(reading: ReadTransaction) -> set[str]:
    query = select(voices.c.voice_id).where(rows_of(voices, reading.tenant, state="decommissioned"))
    return set(reading.connection.execute(query).scalars())


def _sha256(file: IO[bytes]) -> str:
    """Of the whole file, which is left at its beginning."""
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    file.seek(0)
    return digest
