"""The register of clips, and what a verifier may ask of it: which clip, from which consent, whether it still stands.

A clip belongs to the grantee it was made for: another grantee of the same tenant has no consent for it, and is told
that there is none. Whoever may read the tenant's consents sees every clip that was made under them.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, select

from consent_service import access
from consent_service.access import Permission
from consent_service.clips import data_keys, register, stores, watermarks
from consent_service.core import Core
from consent_service.errors import GrantRevoked, NotFound
from consent_service.ledger import log
from consent_service.ledger.rows import find_row, find_value
from consent_service.ledger.tables import clips, consents, redemptions, voices
from consent_service.models import Principal
from consent_service.policy import decide, terms
from consent_service.proofs.records import ClipRecord, Standing, WatermarkTag


class Clips:
    """`ConsentService.clips`: a `ClipRegister` and a `ProofReader`. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def register_clip(self, record: ClipRecord) -> None:
        """Add digest, length and copies to the record that `redeem` made. NotFound (clip_unknown) without
        one; Conflict (clip_origin_fixed, clip_digest_fixed) when it contradicts what is there."""
        outcome = register.register_many(self._core, [record])[0]
        if outcome is not None:
            raise outcome

    def register_store(
        self, uri: str, kind: Literal["cache", "output"], *, tenant: str | None = None
    ) -> None:
        """Say where clips will lie, before any does: a door's cache, or a job's output folder. Deletion searches
        every place named here. `tenant` None: all tenants share it. Idempotent."""
        stores.register(self._core, uri, kind, tenant)

    def find_clip(self, tenant: str, clip_id: str) -> ClipRecord | None:
        with self._core.ledger.read() as connection:
            row = register.row_of(connection, tenant, clip_id)
            return None if row is None else register.to_clip(row)

    def get(self, by: Principal, clip_id: str) -> ClipRecord:
        """Raises NotFound, for another grantee's clip too; refuses (GrantRevoked) nothing here: the caller looks
        at `state` and `standing`."""
        with self._core.read(by, Permission.CLIP_READ) as reading:
            return register.to_clip(_within_reach(reading.connection, reading.by, clip_id))

    def release(self, by: Principal, clip_id: str, audio_sha256: str = "") -> ClipRecord:
        """Before a stored clip goes out once more: audited, either way; with the digest of a file that is not the
        registered one. Raises NotFound, or GrantRevoked when its consent no longer stands."""
        if audio_sha256:
            register.require_audio(audio_sha256, 0.0)
        with self._core.write(by, Permission.CLIP_READ) as writing:
            row = _within_reach(
                writing.connection, access.reload(writing.connection, by, writing.now), clip_id
            )
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
        return register.to_clip(row)

    def standing(
        self, clip_id: str, consent_id: str | None, consent_version: int | None
    ) -> tuple[Standing, float]:
        with self._core.ledger.read() as connection:
            now = self._core.clock()
            query = select(clips).where(clips.c.clip_id == clip_id)
            clip = connection.execute(query).mappings().one_or_none()
            if clip is None or (clip["consent_id"], clip["consent_version"]) != (consent_id, consent_version):
                return Standing.UNKNOWN, now
            return _standing(connection, clip, now), now

    def knows_clip(self, clip_id: str, audio_sha256: str) -> bool | None:
        with self._core.ledger.read() as connection:
            query = select(clips.c.audio_sha256).where(clips.c.clip_id == clip_id)
            known = connection.execute(query).scalar()
            return known == audio_sha256 if known else None

    def logged_at(self, clip_id: str, audio_sha256: str) -> float | None:
        with self._core.ledger.read() as connection:
            query = select(clips.c.tenant, clips.c.audit_leaf).where(clips.c.clip_id == clip_id)
            found = connection.execute(query).one_or_none()
            if found is None:
                return None
            grant = log.entry(connection, found.tenant, found.audit_leaf).get("grant")
            leaf = find_value(connection, redemptions.c.closing_leaf, found.tenant, grant_id=grant)
            closing = {} if leaf is None else log.entry(connection, found.tenant, leaf)
        return handed_over_at(closing, clip_id, audio_sha256)

    def marked_clip(self, mark: WatermarkTag) -> ClipRecord | None:
        named = (clips.c.watermark_epoch == mark.epoch) & (clips.c.watermark_tag == mark.tag)
        with self._core.ledger.read() as connection:
            row = connection.execute(select(clips).where(named)).mappings().one_or_none()
            return None if row is None else register.to_clip(row)

    def watermark_keys(self) -> dict[int, bytes]:
        return watermarks.keys(self._core)

    def wrap_key(self, tenant: str, data_key: bytes, aad: bytes) -> bytes:
        """Encrypt the 32-byte key of a stored clip under its tenant's, bound to `aad`. For the gate, as the next."""
        return data_keys.wrap(self._core, tenant, data_key, aad)

    def unwrap_key(self, tenant: str, wrapped: bytes, aad: bytes) -> bytes:
        """Reverse of `wrap_key`. Raises VaultError when it is of another tenant or clip."""
        return data_keys.unwrap(self._core, tenant, wrapped, aad)


def _within_reach(connection: Connection, caller: Principal, clip_id: str) -> RowMapping:
    """Raises NotFound, for a clip of another tenant or grantee, or outside the key's claims, too."""
    row = register.row_of(connection, caller.tenant, clip_id)
    if row is not None:
        if access.permits(caller.roles, Permission.CONSENT_READ):
            return row
        ordered = decide.may_order(caller.claims, row["voice_id"], row["purpose"])
        if row["grantee"] == caller.grantee and ordered:
            return row
    raise NotFound("no such clip", code="clip_unknown")


def _standing(connection: Connection, clip: RowMapping, now: float) -> Standing:
    if find_value(connection, voices.c.state, clip["tenant"], voice_id=clip["voice_id"]) == "decommissioned":
        return Standing.DECOMMISSIONED
    if clip["state"] != "live":
        return Standing.WITHDRAWN
    if clip["consent_id"] is None:
        return Standing.NOT_REQUIRED
    consent = find_row(connection, consents, clip["tenant"], consent_id=clip["consent_id"])
    if consent is None:
        return Standing.UNKNOWN
    if consent["state"] != "live":
        return Standing.WITHDRAWN
    expired = now >= terms.from_json(consent["terms"]).valid_until
    return Standing.EXPIRED if expired else Standing.LIVE


def handed_over_at(closing: dict[str, Any], clip_id: str, audio_sha256: str) -> float | None:
    """When a file was handed over, by the entry that closed its clip's grant and the file's digest. A certificate that
    has expired since still speaks for what the log held while it was valid."""
    is_it = closing.get("kind") == "speech.closed" and closing.get("clip") == clip_id
    return float(closing["at"]) if is_it and closing.get("audio") == audio_sha256 else None
