"""The records of clips, and how a stamper adds to them.

A clip's record is made by `redeem`, in the transaction that used its grant up; nobody can register a clip
that no grant allowed. What a stamper adds later (digest, length, copies) never changes what the clip came
from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, update

from consent_service.clips import stores
from consent_service.commit.batch import LedgerBatch
from consent_service.core import Core, WriteTransaction
from consent_service.errors import Conflict, ConsentError, GrantRevoked, InvalidInput, NotFound
from consent_service.grants import Grant
from consent_service.ids import SHA256_HEX
from consent_service.ledger.rows import find_row, from_row, rows_of
from consent_service.ledger.tables import clips as clips_table
from consent_service.proofs.records import ClipRecord, WatermarkTag

# What a clip came from is fixed when its grant is used up.
_FIXED: Final = (
    "tenant", "voice_id", "basis", "consent_id", "consent_version", "purpose", "grantee", "audit_leaf",
)  # fmt: skip


def to_clip(row: RowMapping) -> ClipRecord:
    mark = row["watermark_tag"]
    return from_row(
        ClipRecord,
        row,
        objects=tuple(row["objects"]),
        watermark=None if mark is None else WatermarkTag(row["watermark_epoch"], mark),
        fingerprint=bytes(row["fingerprint"] or b""),
    )


def new_row(
    writing: WriteTransaction, grant: Grant, leaf: int, mark: WatermarkTag, said: str
) -> dict[str, Any]:
    """The record of a clip that does not exist yet; part of `redeem`. `said`: as the log has it, so that nothing is
    left of a text once its salt is erased."""
    return {
        "clip_id": grant.clip_id,
        "tenant": writing.tenant,
        "voice_id": grant.voice_id,
        "basis": grant.basis.value,
        "consent_id": grant.consent_id,
        "consent_version": grant.consent_version,
        "purpose": grant.purpose,
        "grantee": grant.grantee,
        "said_digest": said,
        "audit_leaf": leaf,
        "audio_sha256": "",
        "seconds": 0.0,
        "created_at": writing.now,
        "objects": [],
        "state": "live",
        "watermark_epoch": mark.epoch,
        "watermark_tag": mark.tag,
    }


def row_of(connection: Connection, tenant: str, clip_id: str) -> RowMapping | None:
    return find_row(connection, clips_table, tenant, clip_id=clip_id)


def register_many(core: Core, records: Sequence[ClipRecord]) -> list[Exception | None]:
    """Add digest, length and copies to each, in order, in one transaction for up to a thousand of a tenant: None, or
    what it refused: NotFound (clip_unknown) without a redeemed grant, GrantRevoked after a decommissioning, Conflict
    when the record names another origin or another digest than the one already there."""
    outcomes: dict[str, Iterator[Exception | None]] = {}
    for tenant in dict.fromkeys(record.tenant for record in records):
        places = stores.places(core, tenant)
        operations = [_Register(record, places) for record in records if record.tenant == tenant]
        committed = core.committer(tenant).submit_all(operations)
        outcomes[tenant] = iter([each if isinstance(each, Exception) else None for each in committed])
    return [next(outcomes[record.tenant]) for record in records]


@dataclass(frozen=True, slots=True)
class _Register:
    """A stamper's word on a clip that `redeem` recorded."""

    record: ClipRecord
    places: stores.AllowedLocations
    grant_id: None = None

    @property
    def clip_id(self) -> str:
        return self.record.clip_id

    def run(self, group: LedgerBatch) -> None:
        record, row = self.record, group.clips.get(self.record.clip_id)
        if record.audio_sha256:
            require_audio(record.audio_sha256, record.seconds)
        self.places.require(record.objects)
        if row is None:
            raise NotFound("no grant was redeemed for this clip", code="clip_unknown")
        if row["state"] == "tombstone":
            raise GrantRevoked("the clip's voice was decommissioned; nothing of it may be kept")
        if any(getattr(record, name) != row[name] for name in _FIXED):
            raise Conflict("a clip's origin is fixed by its grant", code="clip_origin_fixed")
        if record.audio_sha256 and row["audio_sha256"] not in ("", record.audio_sha256):
            raise Conflict("the clip is registered with another digest", code="clip_digest_fixed")
        values: dict[str, Any] = {"objects": list(dict.fromkeys([*row["objects"], *record.objects]))}
        if record.audio_sha256:
            values |= {"audio_sha256": record.audio_sha256, "seconds": record.seconds}
        if record.fingerprint:
            values |= {"fingerprint": record.fingerprint}
        group.register(record.clip_id, **values)

    def refused(self, group: LedgerBatch, error: ConsentError) -> None:
        """What was refused changed nothing that a record would be of."""


def change(writing: WriteTransaction, clip_id: str, **values: Any) -> None:
    where_row = rows_of(clips_table, writing.tenant, clip_id=clip_id)
    writing.connection.execute(update(clips_table).where(where_row).values(**values))


def require_audio(audio_sha256: str, seconds: float) -> None:
    """Raises InvalidInput."""
    if not SHA256_HEX.fullmatch(audio_sha256) or not (math.isfinite(seconds) and seconds >= 0):
        raise InvalidInput("a clip's digest is SHA-256 in hex, its length a finite number of seconds")
