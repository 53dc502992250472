"""The register of clips: which clip, from which consent, where its copies lie, and whether it still stands.

A clip belongs to the grantee it was made for: another grantee of the same tenant has no consent for it, and is told
that there is none. Whoever may read the tenant's consents sees every clip that was made under them.

A clip's record is made by `redeem`, in the transaction that used its grant up; nobody can register a clip
that no grant allowed. What a stamper adds later (digest, length, copies) never changes what the clip came
from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select, update

from consent_service import access
from consent_service.access import Permission
from consent_service.clips import stores
from consent_service.commit.batch import Group
from consent_service.core import Core, Writing
from consent_service.errors import Conflict, ConsentError, GrantRevoked, InvalidInput, NotFound
from consent_service.grants import Grant
from consent_service.ids import SHA256_HEX
from consent_service.ledger.tables import clips as clips_table
from consent_service.ledger.tables import consents, voices
from consent_service.models import Principal
from consent_service.policy import decide, terms
from consent_service.proofs.seams import ClipRecord, Standing, WatermarkTag

# What a clip came from is fixed when its grant is used up.
_FIXED: Final = (
    "tenant", "voice_id", "basis", "consent_id", "consent_version", "purpose", "grantee", "audit_leaf",
)  # fmt: skip


def to_clip(row: RowMapping) -> ClipRecord:
    return ClipRecord(
        clip_id=row["clip_id"],
        tenant=row["tenant"],
        voice_id=row["voice_id"],
        basis=row["basis"],
        consent_id=row["consent_id"],
        consent_version=row["consent_version"],
        purpose=row["purpose"],
        grantee=row["grantee"],
        audit_leaf=row["audit_leaf"],
        audio_sha256=row["audio_sha256"],
        seconds=row["seconds"],
        created_at=row["created_at"],
        objects=tuple(row["objects"]),
        state=row["state"],
        watermark=None
        if row["watermark_tag"] is None
        else WatermarkTag(row["watermark_epoch"], row["watermark_tag"]),
        fingerprint=bytes(row["fingerprint"] or b""),
    )


def new_row(writing: Writing, grant: Grant, leaf: int, mark: WatermarkTag, said: str) -> dict[str, Any]:
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
    query = select(clips_table).where(clips_table.c.tenant == tenant, clips_table.c.clip_id == clip_id)
    return connection.execute(query).mappings().one_or_none()


def register(core: Core, record: ClipRecord) -> None:
    """Add digest, length and copies. Raises NotFound (clip_unknown) without a redeemed grant, GrantRevoked after
    a decommissioning, Conflict when the record names another origin or another digest than the one already there."""
    outcome = register_many(core, [record])[0]
    if outcome is not None:
        raise outcome


def register_many(core: Core, records: Sequence[ClipRecord]) -> list[Exception | None]:
    """The same for each, in order, in one transaction for up to a thousand of a tenant: None, or what it refused."""
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
    places: stores.Places
    grant_id: None = None

    @property
    def clip_id(self) -> str:
        return self.record.clip_id

    def run(self, group: Group) -> None:
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

    def refused(self, group: Group, error: ConsentError) -> None:
        """What was refused changed nothing that a record would be of."""


def change(writing: Writing, clip_id: str, **values: Any) -> None:
    mine = (clips_table.c.tenant == writing.tenant) & (clips_table.c.clip_id == clip_id)
    writing.connection.execute(update(clips_table).where(mine).values(**values))


def find(core: Core, tenant: str, clip_id: str) -> ClipRecord | None:
    with core.ledger.read() as connection:
        row = row_of(connection, tenant, clip_id)
        return None if row is None else to_clip(row)


def show(core: Core, by: Principal, clip_id: str) -> ClipRecord:
    with core.read(by, Permission.CLIP_READ) as reading:
        return to_clip(_within_reach(reading.connection, reading.by, clip_id))


def release(core: Core, by: Principal, clip_id: str, audio_sha256: str = "") -> ClipRecord:
    """Decide whether a stored clip may go out once more, and commit that before it does. audio_sha256: of the file
    that goes out, by the word of the door; it is in the log where the clip is released. Without it the file is the one
    that is registered."""
    if audio_sha256:
        require_audio(audio_sha256, 0.0)
    with core.write(by, Permission.CLIP_READ) as writing:
        row = _within_reach(writing.connection, access.reload(writing.connection, by, writing.now), clip_id)
        found = _standing(writing.connection, row, writing.now)
        stands = found.may_leave
        writing.log.append(
            "clip.released" if stands else "clip.withheld",
            by=by.key_id,
            clip=clip_id,
            consent=row["consent_id"],
            version=row["consent_version"],
            purpose=row["purpose"],
            **({"audio": audio_sha256} if stands and audio_sha256 else {}),
        )
    if not stands:
        raise GrantRevoked("the consent behind this clip no longer stands")
    return to_clip(row)


def _within_reach(connection: Connection, caller: Principal, clip_id: str) -> RowMapping:
    """Raises NotFound, for a clip of another tenant or grantee, or outside the key's claims, too."""
    row = row_of(connection, caller.tenant, clip_id)
    if row is not None:
        if access.permits(caller.roles, Permission.CONSENT_READ):
            return row
        ordered = decide.may_order(caller.claims, row["voice_id"], row["purpose"])
        if row["grantee"] == caller.grantee and ordered:
            return row
    raise NotFound("no such clip", code="clip_unknown")


def standing(
    core: Core, clip_id: str, consent_id: str | None, consent_version: int | None
) -> tuple[Standing, float]:
    """Whether what a clip says of itself still stands, as of now. A clip that names another consent than the
    register does is as unknown as one that is not there."""
    with core.ledger.read() as connection:
        now = core.clock()
        query = select(clips_table).where(clips_table.c.clip_id == clip_id)
        clip = connection.execute(query).mappings().one_or_none()
        if clip is None or (clip["consent_id"], clip["consent_version"]) != (consent_id, consent_version):
            return Standing.UNKNOWN, now
        return _standing(connection, clip, now), now


def _standing(connection: Connection, clip: RowMapping, now: float) -> Standing:
    voice = select(voices.c.state).where(
        voices.c.tenant == clip["tenant"], voices.c.voice_id == clip["voice_id"]
    )
    if connection.execute(voice).scalar() == "decommissioned":
        return Standing.DECOMMISSIONED
    if clip["state"] != "live":
        return Standing.WITHDRAWN
    if clip["consent_id"] is None:
        return Standing.NOT_REQUIRED
    named = (consents.c.tenant == clip["tenant"]) & (consents.c.consent_id == clip["consent_id"])
    consent = connection.execute(select(consents).where(named)).mappings().one_or_none()
    if consent is None:
        return Standing.UNKNOWN
    if consent["state"] != "live":
        return Standing.WITHDRAWN
    expired = now >= terms.from_json(consent["terms"]).valid_until
    return Standing.EXPIRED if expired else Standing.LIVE


def knows(core: Core, clip_id: str, audio_sha256: str) -> bool | None:
    """None also while the digest of a clip is not registered yet."""
    with core.ledger.read() as connection:
        query = select(clips_table.c.audio_sha256).where(clips_table.c.clip_id == clip_id)
        known = connection.execute(query).scalar()
        return known == audio_sha256 if known else None


def require_audio(audio_sha256: str, seconds: float) -> None:
    """Raises InvalidInput."""
    if not SHA256_HEX.fullmatch(audio_sha256) or not (math.isfinite(seconds) and seconds >= 0):
        raise InvalidInput("a clip's digest is SHA-256 in hex, its length a finite number of seconds")


def marked(core: Core, mark: WatermarkTag) -> ClipRecord | None:
    """The clip that was allotted a tag, whoever's it is: a candidate, for a verifier to confirm."""
    named = (clips_table.c.watermark_epoch == mark.epoch) & (clips_table.c.watermark_tag == mark.tag)
    with core.ledger.read() as connection:
        row = connection.execute(select(clips_table).where(named)).mappings().one_or_none()
        return None if row is None else to_clip(row)
