"""A transaction that many grants share: read what they need once, collect what they write, write it by table.

Under the lock of the tenant's log nothing that is read here can change before the commit, except by what this group
itself collects, and that it knows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Select, Text, and_, bindparam, cast, insert, select, update

from consent_service.ledger.log import LogMark
from consent_service.ledger.tables import api_keys, clips, consents, redemptions, replicas, voices
from consent_service.ledger.transaction import WriteTransaction
from consent_service.policy import terms
from consent_service.policy.decide import ConsentFacts

_AT_ONCE: Final = 1000


@dataclass(slots=True)
class UsedGrant:
    """A grant that was redeemed."""

    clip_id: str
    reused_clip_id: str | None
    closing_leaf: int | None


@dataclass(frozen=True, slots=True)
class GrantContext:
    """What a grant is held against. Fields of what does not exist are None."""

    key_revoked_at: float | None
    key_expires_at: float | None
    replica_key: bytes | None
    voice_state: str | None
    voice_epoch: int | None
    prompt_digest: str
    said_salt: bytes | None
    consent: ConsentFacts | None


@dataclass(frozen=True, slots=True)
class Savepoint:
    """How far a group had come."""

    log: LogMark
    lengths: tuple[int, ...]  # of what was collected, list by list


@dataclass(slots=True)
class LedgerBatch:
    """Not thread-safe: the thread that holds the transaction runs every operation of it."""

    writing: WriteTransaction
    grant_ids: Sequence[str]
    clip_ids: Sequence[str]
    used: dict[str, UsedGrant] = field(init=False, default_factory=dict)
    clips: dict[str, dict[str, Any]] = field(init=False, default_factory=dict)
    _states: dict[tuple[str, str, str, str], GrantContext | None] = field(init=False, default_factory=dict)
    _redeemed: list[dict[str, Any]] = field(init=False, default_factory=list)
    _clips: list[dict[str, Any]] = field(init=False, default_factory=list)
    _closed: list[dict[str, Any]] = field(init=False, default_factory=list)
    _registered: list[tuple[str, dict[str, Any]]] = field(init=False, default_factory=list)
    _spoken: list[tuple[str, int]] = field(init=False, default_factory=list)
    _characters: dict[str, int] = field(init=False, default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        for start in range(0, len(self.grant_ids), _AT_ONCE):
            asked = {"tenant": self.writing.tenant, "grants": self.grant_ids[start : start + _AT_ONCE]}
            for grant_id, clip_id, reused, closing_leaf in self.writing.connection.execute(_USED, asked):
                self.used[grant_id] = UsedGrant(clip_id, reused, closing_leaf)
        for start in range(0, len(self.clip_ids), _AT_ONCE):
            asked = {"tenant": self.writing.tenant, "clips": self.clip_ids[start : start + _AT_ONCE]}
            for row in self.writing.connection.execute(_CLIPS, asked).mappings():
                self.clips[row["clip_id"]] = dict(row)

    def state(
        self, key_id: str, replica_id: str, voice_id: str, consent_id: str | None
    ) -> GrantContext | None:
        """None when the tenant has no such key. "" asks for no replica or voice."""
        asked = (key_id, replica_id, voice_id, consent_id or "")
        if asked not in self._states:
            named = dict(zip(("key", "replica", "voice", "consent"), asked, strict=True))
            row = self.writing.connection.execute(
                _STATE, {"tenant": self.writing.tenant, **named}
            ).one_or_none()
            self._states[asked] = None if row is None else _state(row)
        return self._states[asked]

    def characters_used(self, consent: ConsentFacts) -> int:
        """Under a consent, this group's own included."""
        return consent.characters_used + self._characters[consent.consent_id]

    def redeem(self, row: dict[str, Any], consent_id: str | None, characters: int) -> None:
        """A grant that is used up."""
        self.used[row["grant_id"]] = UsedGrant(row["clip_id"], row["reused_clip_id"], None)
        self._redeemed.append(row)
        if consent_id is not None:
            self._characters[consent_id] += characters
            self._spoken.append((consent_id, characters))

    def add_clip(self, row: dict[str, Any]) -> None:
        self._clips.append(row)

    def close(self, grant_id: str, leaf: int) -> None:
        self.used[grant_id].closing_leaf = leaf
        self._closed.append({"grant": grant_id, "of": self.writing.tenant, "closed_by": leaf})

    def register(self, clip_id: str, **values: Any) -> None:
        """What is new of a clip that the group holds."""
        self._registered.append((clip_id, dict(self.clips[clip_id])))
        self.clips[clip_id] |= values

    @property
    def _collected(self) -> tuple[list[Any], ...]:
        return (self._redeemed, self._clips, self._closed, self._registered, self._spoken)

    def mark(self) -> Savepoint:
        return Savepoint(self.writing.log.mark(), tuple(map(len, self._collected)))

    def undo(self, to: Savepoint) -> None:
        """Forget what was written since."""
        self.writing.log.undo(to.log)
        redeemed, _, closed, registered, spoken = to.lengths
        for row in self._redeemed[redeemed:]:
            del self.used[row["grant_id"]]
        for row in self._closed[closed:]:
            self.used[row["grant"]].closing_leaf = None
        for clip_id, before in reversed(self._registered[registered:]):
            self.clips[clip_id] = before
        for consent_id, characters in self._spoken[spoken:]:
            self._characters[consent_id] -= characters
        for written, length in zip(self._collected, to.lengths, strict=True):
            del written[length:]

    def flush(self) -> None:
        """Write what was collected; the log's part is flushed with the transaction."""
        execute = self.writing.connection.execute
        if self._redeemed:
            execute(_REDEEM, self._redeemed)
        if self._clips:
            execute(_ADD_CLIP, self._clips)
        if self._closed:
            execute(_CLOSE, self._closed)
        if self._registered:
            changed = dict.fromkeys(clip_id for clip_id, _ in self._registered)
            execute(_REGISTER, [self._registration(clip_id) for clip_id in changed])
        spoken = [
            {"consent": consent_id, "of": self.writing.tenant, "more": more}
            for consent_id, more in self._characters.items()
            if more
        ]
        if spoken:
            execute(_SPEAK, spoken)

    def _registration(self, clip_id: str) -> dict[str, Any]:
        row = self.clips[clip_id]
        values = {f"new_{name}": row[name] for name in ("objects", "audio_sha256", "seconds", "fingerprint")}
        return {"clip": clip_id, "of": self.writing.tenant, **values}


_CLIPS: Final = select(clips).where(
    clips.c.tenant == bindparam("tenant"), clips.c.clip_id.in_(bindparam("clips", expanding=True))
)
_REGISTER: Final = (
    update(clips)
    .where(clips.c.clip_id == bindparam("clip"), clips.c.tenant == bindparam("of"))
    .values(
        objects=bindparam("new_objects"),
        audio_sha256=bindparam("new_audio_sha256"),
        seconds=bindparam("new_seconds"),
        fingerprint=bindparam("new_fingerprint"),
    )
)
_USED: Final = select(
    redemptions.c.grant_id, redemptions.c.clip_id, redemptions.c.reused_clip_id, redemptions.c.closing_leaf
).where(
    redemptions.c.tenant == bindparam("tenant"),
    redemptions.c.grant_id.in_(bindparam("grants", expanding=True)),
)
_REDEEM: Final = insert(redemptions)
_ADD_CLIP: Final = insert(clips)
_CLOSE: Final = (
    update(redemptions)
    .where(redemptions.c.grant_id == bindparam("grant"), redemptions.c.tenant == bindparam("of"))
    .values(closing_leaf=bindparam("closed_by"))
)
_SPEAK: Final = (
    update(consents)
    .where(consents.c.consent_id == bindparam("consent"), consents.c.tenant == bindparam("of"))
    .values(characters_used=consents.c.characters_used + bindparam("more"))
)


def _state_query() -> Select[Any]:
    key, voice, consent = api_keys.c, voices.c, consents.c
    tables = (
        api_keys.outerjoin(replicas, replicas.c.replica_id == bindparam("replica"))
        .outerjoin(voices, and_(voice.tenant == key.tenant, voice.voice_id == bindparam("voice")))
        .outerjoin(consents, and_(consent.tenant == key.tenant, consent.consent_id == bindparam("consent")))
    )
    wanted = (
        key.revoked_at, key.expires_at, replicas.c.public_key,
        voice.state, voice.epoch, voice.prompt_digest, voice.said_salt,
        consent.consent_id, consent.version, consent.voice_id, consent.state,
        cast(consent.terms, Text), consent.characters_used,
    )  # fmt: skip
    where_row = (key.key_id == bindparam("key")) & (key.tenant == bindparam("tenant"))
    return select(*wanted).select_from(tables).where(where_row)


_STATE: Final = _state_query()


def _state(row: Sequence[Any]) -> GrantContext:
    revoked_at, expires_at, replica_key, state, epoch, prompt_digest, salt, *rest = row
    consent_id, version, of_voice, stands, agreed, used = rest
    consent = None
    if consent_id is not None:
        consent = ConsentFacts(consent_id, version, of_voice, stands, terms.parse(agreed), used)
    key = None if replica_key is None else bytes(replica_key)
    salt = None if salt is None else bytes(salt)
    return GrantContext(revoked_at, expires_at, key, state, epoch, prompt_digest or "", salt, consent)
