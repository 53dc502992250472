"""Using a grant up: the one transaction after which a clip may be spoken (DESIGN I1, I3).

Nonce, recheck of key, voice and consent, audit entry and clip record are committed together; only then is the
checkpoint signed and the reference sealed to the replica. Whatever fails before the commit leaves nothing;
whatever fails after it leaves a used grant, an entry and no audio. A refusal is audited in a transaction of
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, insert, select, update
from sqlalchemy.exc import IntegrityError

from consent_service import access, clips, decisions, policy, voices, watermarks
from consent_service.core import Core, Writing
from consent_service.errors import (
    ConsentError,
    GrantError,
    GrantExpired,
    GrantMismatch,
    GrantRevoked,
    GrantUsed,
    InvalidInput,
    NotFound,
    ReplicaUnknown,
)
from consent_service.grants import Basis, Grant, GrantVerifier
from consent_service.ids import CODE
from consent_service.ledger.engine import fail_closed
from consent_service.ledger.tables import consents, redemptions
from consent_service.models import Closing, Redeemed
from consent_service.proofs.merkle import Frontier
from consent_service.proofs.seams import KeyPurpose, WatermarkTag
from consent_service.replicas import replica_key
from consent_service.sealing import reference_info, seal

_OUTCOMES: Final = ("completed", "cut", "disconnected", "failed")


@dataclass(frozen=True, slots=True)
class _Committed:
    """What a redemption's transaction left behind. `prompt_digest` is "" where no reference is needed."""

    leaf: int
    tree: Frontier
    public_key: bytes = b""
    prompt_digest: str = ""
    watermark: WatermarkTag | None = None


def redeem(core: Core, token: str, replica_id: str) -> Redeemed:
    """Use a grant up for a replica, and seal the reference to it."""
    grant = _verified(core, token)

    def entitle(writing: Writing) -> _Committed:
        public_key = replica_key(writing.connection, replica_id)
        voice = _recheck(writing, grant)
        leaf = _use_up(writing, grant, voice, "speech.redeemed", replica=replica_id)
        (mark,) = watermarks.allot(writing)
        clips.insert_clip(writing, grant, leaf, mark)
        prompt_digest = "" if voice is None else voice["prompt_digest"]
        return _Committed(leaf, writing.log.tree, public_key, prompt_digest, mark)

    committed = _transact(core, grant, entitle)
    with _closed_on_failure(core, grant):
        checkpoint = core.checkpoint(grant.tenant, committed.tree)
        if not grant.basis.is_clone:
            return Redeemed(grant, committed.leaf, checkpoint, watermark=committed.watermark)
        with fail_closed():
            packed = core.vault.open(grant.tenant, grant.voice_id, "reference", committed.prompt_digest)
        sealed = seal(committed.public_key, packed, reference_info(grant.grant_id, replica_id))
        return Redeemed(grant, committed.leaf, checkpoint, sealed, committed.watermark)


def redeem_cached(core: Core, token: str, cached_clip_id: str) -> Redeemed:
    """Use a grant up for a clip that is there already."""
    grant = _verified(core, token)

    def entitle(writing: Writing) -> _Committed:
        voice = _recheck(writing, grant)
        _require_same(writing, grant, cached_clip_id)
        leaf = _use_up(writing, grant, voice, "speech.reused", reused=cached_clip_id)
        return _Committed(leaf, writing.log.tree)

    committed = _transact(core, grant, entitle)
    with _closed_on_failure(core, grant):
        return Redeemed(grant, committed.leaf, core.checkpoint(grant.tenant, committed.tree))


def close(core: Core, grant_id: str, closing: Closing) -> int:
    """The second audit record. Returns the leaf of the first call, whatever a later one says."""
    if closing.outcome not in _OUTCOMES or not CODE.fullmatch(closing.reason):
        raise InvalidInput("a closing has a known outcome, and a stable code as its reason")
    if closing.audio_sha256 or closing.seconds:
        clips.require_audio(closing.audio_sha256 or "0" * 64, closing.seconds)
    named = redemptions.c.grant_id == grant_id
    with core.ledger.read() as connection:
        tenant = connection.execute(select(redemptions.c.tenant).where(named)).scalar()
    if tenant is None:
        raise NotFound("no such grant was redeemed", code="grant_unknown")
    with core.write_as(tenant) as writing:
        row = writing.connection.execute(select(redemptions).where(named)).mappings().one()
        if row["closing_leaf"] is not None:
            return int(row["closing_leaf"])
        leaf = writing.log.append(
            "speech.closed",
            grant=grant_id,
            clip=row["reused_clip_id"] or row["clip_id"],
            outcome=closing.outcome,
            seconds=round(closing.seconds, 3),
            audio=closing.audio_sha256 or None,
            reason=closing.reason or None,
        )
        writing.connection.execute(update(redemptions).where(named).values(closing_leaf=leaf))
        return leaf


@contextmanager
def _closed_on_failure(core: Core, grant: Grant) -> Iterator[None]:
    """What fails after the commit is told to the log as well as to the caller."""
    try:
        yield
    except Exception as exc:
        with suppress(ConsentError):
            reason = exc.code if isinstance(exc, ConsentError) else "internal_error"
            close(core, grant.grant_id, Closing("failed", reason=reason))
        raise


def _verified(core: Core, token: str) -> Grant:
    """Signature only: who forges a grant belongs to no tenant, and leaves no entry in anyone's log."""
    with fail_closed():
        return GrantVerifier(core.keys.public_keys(KeyPurpose.GRANT)).verify_signature(token)


def _transact(core: Core, grant: Grant, entitle: Callable[[Writing], _Committed]) -> _Committed:
    try:
        with core.write_as(grant.tenant) as writing:
            if writing.now > grant.start_by:
                raise GrantExpired("the grant's time to start has passed; ask the gate again")
            return entitle(writing)
    except (GrantError, ReplicaUnknown) as exc:
        with core.write_as(grant.tenant) as writing:
            writing.log.append(
                "speech.refused",
                by=grant.key_id,
                code=exc.code,
                grant=grant.grant_id,
                voice=_voice_told(grant),
            )
        raise


def _use_up(writing: Writing, grant: Grant, voice: RowMapping | None, kind: str, **how: Any) -> int:
    """Spend the nonce and append the entry: neither is ever there without the other."""
    leaf = writing.log.append(
        kind,
        by=grant.key_id,
        grant=grant.grant_id,
        clip=grant.clip_id,
        basis=grant.basis.value,
        voice=grant.voice_id,
        epoch=grant.voice_epoch,
        consent=grant.consent_id,
        version=grant.consent_version,
        purpose=grant.purpose,
        said=writing.log.said(grant.said_digest, None if voice is None else voice["said_salt"]),
        characters=grant.characters,
        **how,
    )
    row = {
        "grant_id": grant.grant_id,
        "tenant": writing.tenant,
        "clip_id": grant.clip_id,
        "reused_clip_id": how.get("reused"),
        "leaf": leaf,
        "redeemed_at": writing.now,
    }
    try:
        writing.connection.execute(insert(redemptions), row)
    except IntegrityError as exc:
        raise GrantUsed("the grant was used before; ask the gate for a new one") from exc
    return leaf


def _recheck(writing: Writing, grant: Grant) -> RowMapping | None:
    """What may have changed since the grant was signed. Returns the voice, None where there is none of ours."""
    if not access.key_is_live(writing.connection, writing.tenant, grant.key_id, writing.now):
        raise GrantRevoked("the API key that asked was revoked or has expired", code="key_revoked")
    if not grant.basis.is_clone:
        return None
    voice = voices.find(writing.connection, writing.tenant, grant.voice_id)
    if voice["state"] != "active" or voice["epoch"] != grant.voice_epoch:
        raise GrantRevoked("a consent of this voice was withdrawn since; ask the gate again")
    if grant.basis is Basis.CONSENT:
        _recheck_consent(writing.connection, grant, writing.now)
    return voice


def _recheck_consent(connection: Connection, grant: Grant, now: float) -> None:
    mine = (consents.c.tenant == grant.tenant) & (consents.c.consent_id == grant.consent_id)
    row = connection.execute(select(consents).where(mine)).mappings().one_or_none()
    if row is None or row["version"] != grant.consent_version:
        raise GrantRevoked("the consent was changed since; ask the gate again")
    refused = policy.standing_of(decisions.to_facts(row), now)
    if refused is not None:
        raise GrantRevoked(refused.reason, code=refused.code)


def _require_same(writing: Writing, grant: Grant, cached_clip_id: str) -> None:
    """A cached clip goes out only where the grant would have made the very same one."""
    row = clips.row_of(writing.connection, writing.tenant, cached_clip_id)
    same = {
        "voice_id": grant.voice_id,
        "basis": grant.basis.value,
        "consent_id": grant.consent_id,
        "consent_version": grant.consent_version,
        "purpose": grant.purpose,
        "grantee": grant.grantee,
        "said_digest": grant.said_digest,
    }
    if row is None or any(row[name] != value for name, value in same.items()) or not row["audio_sha256"]:
        raise GrantMismatch("the cached clip is not the one that this grant allows")
    if row["state"] != "live":
        raise GrantRevoked("the cached clip was withdrawn")


def _voice_told(grant: Grant) -> str | None:
    return grant.voice_id if grant.basis.is_clone else None
