"""Using a grant up: the one transaction after which a clip may be spoken (DESIGN I1, I3).

Nonce, recheck of key, voice and consent, the characters spoken, audit entry and clip record are committed together,
with those of whoever else asked meanwhile (`committing`); only then is the checkpoint signed and the reference sealed
to the replica. Whatever fails before the commit leaves nothing but the record of the refusal; whatever fails after it
leaves a used grant, an entry and no audio.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import bindparam, select

from consent_service import access, clips, policy
from consent_service.committing import Committed
from consent_service.core import Core
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
from consent_service.grants import Basis, Grant
from consent_service.group import Group, State
from consent_service.ids import CODE
from consent_service.ledger.engine import fail_closed
from consent_service.ledger.tables import redemptions
from consent_service.models import Closing, Redeemed
from consent_service.proofs.seams import WatermarkTag
from consent_service.sealing import reference_info, seal

_OUTCOMES: Final = ("completed", "cut", "disconnected", "failed")


def redeem(core: Core, token: str, replica_id: str) -> Redeemed:
    """Use a grant up for a replica, and seal the reference to it."""
    outcome = redeem_many(core, [token], replica_id)[0]
    if isinstance(outcome, Redeemed):
        return outcome
    raise outcome


def redeem_many(core: Core, tokens: Sequence[str], replica_id: str) -> list[Redeemed | Exception]:
    """Each grant's outcome, in order; a thousand of a tenant in one transaction. References are sealed one by one:
    the result holds as many copies of a recording as it has rows."""
    grants = [_verified(core, token) for token in tokens]
    wanted: dict[str, list[_Redeem]] = {}
    for grant in grants:
        if isinstance(grant, Grant):
            (mark,) = core.tags.take(core)
            wanted.setdefault(grant.tenant, []).append(_Redeem(grant, replica_id, mark))
    outcomes: dict[str, Iterator[tuple[_Redeem, Committed[_Entitled] | Exception]]] = {}
    for tenant, operations in wanted.items():
        committed = core.committer(tenant).submit_all(operations)
        core.tags.give_back(
            operation.mark
            for operation, outcome in zip(operations, committed, strict=True)
            if isinstance(outcome, GrantError | ReplicaUnknown)  # certainly not written
        )
        outcomes[tenant] = zip(operations, committed, strict=True)
    opened: dict[tuple[str, str], bytes] = {}
    told: list[Redeemed | Exception] = []
    for grant in grants:
        if isinstance(grant, Exception):
            told.append(grant)
        else:
            operation, outcome = next(outcomes[grant.tenant])
            told.append(
                outcome if isinstance(outcome, Exception) else _hand_out(core, operation, outcome, opened)
            )
    return told


def redeem_cached(core: Core, token: str, cached_clip_id: str) -> Redeemed:
    """Use a grant up for a clip that is there already."""
    grant = _verified(core, token)
    if isinstance(grant, Exception):
        raise grant
    committed = core.committer(grant.tenant).submit(_Reuse(grant, cached_clip_id))
    with _closed_on_failure(core, grant):
        return Redeemed(grant, committed.value, committed.note.text())


def close(core: Core, grant_id: str, closing: Closing) -> int:
    """The second audit record. Returns the leaf of the first call, whatever a later one says."""
    if closing.outcome not in _OUTCOMES or not CODE.fullmatch(closing.reason):
        raise InvalidInput("a closing has a known outcome, and a stable code as its reason")
    if closing.audio_sha256 or closing.seconds:
        clips.require_audio(closing.audio_sha256 or "0" * 64, closing.seconds)
    with core.ledger.look() as connection:
        tenant = connection.execute(_TENANT_OF, {"of": grant_id}).scalar()
    if tenant is None:
        raise _no_such_grant()
    return core.committer(tenant).submit(_Close(grant_id, closing)).value


_TENANT_OF: Final = select(redemptions.c.tenant).where(redemptions.c.grant_id == bindparam("of"))


@dataclass(frozen=True, slots=True)
class _Entitled:
    """What a redemption's transaction left behind. `prompt_digest` is "" where no reference is needed."""

    leaf: int
    public_key: bytes
    prompt_digest: str


@dataclass(frozen=True, slots=True)
class _Redeem:
    """Speak."""

    grant: Grant
    replica_id: str
    mark: WatermarkTag

    @property
    def grant_id(self) -> str:
        return self.grant.grant_id

    def run(self, group: Group) -> _Entitled:
        grant = self.grant
        state = _checked(group, grant, self.replica_id)
        if state.replica_key is None:
            raise ReplicaUnknown("this replica never registered a key; restart it")
        leaf = _use_up(group, grant, state, "speech.redeemed", grant.characters, replica=self.replica_id)
        group.add_clip(clips.new_row(group.writing, grant, leaf, self.mark))
        return _Entitled(leaf, state.replica_key, state.prompt_digest if grant.basis.is_clone else "")

    def refused(self, group: Group, error: ConsentError) -> None:
        _note_refusal(group, self.grant, error)


@dataclass(frozen=True, slots=True)
class _Reuse:
    """Hand over what was spoken before: nothing is synthesised, so it costs no characters."""

    grant: Grant
    cached_clip_id: str

    @property
    def grant_id(self) -> str:
        return self.grant.grant_id

    def run(self, group: Group) -> int:
        state = _checked(group, self.grant, "")
        _require_same(group, self.grant, self.cached_clip_id)
        return _use_up(group, self.grant, state, "speech.reused", 0, reused=self.cached_clip_id)

    def refused(self, group: Group, error: ConsentError) -> None:
        _note_refusal(group, self.grant, error)


@dataclass(frozen=True, slots=True)
class _Close:
    """The second record."""

    grant_id: str
    closing: Closing

    def run(self, group: Group) -> int:
        used, closing = group.used.get(self.grant_id), self.closing
        if used is None:
            raise _no_such_grant()
        if used.closing_leaf is not None:
            return used.closing_leaf
        leaf = group.writing.log.append(
            "speech.closed",
            grant=self.grant_id,
            clip=used.reused_clip_id or used.clip_id,
            outcome=closing.outcome,
            seconds=round(closing.seconds, 3),
            audio=closing.audio_sha256 or None,
            reason=closing.reason or None,
        )
        group.close(self.grant_id, leaf)
        return leaf

    def refused(self, group: Group, error: ConsentError) -> None:
        """A grant that nobody used leaves no record."""


def _verified(core: Core, token: str) -> Grant | GrantError:
    """Signature only: who forges a grant belongs to no tenant, and leaves no entry in anyone's log."""
    with fail_closed():
        verifier = core.grant_verifier()
    try:
        return verifier.verify_signature(token)
    except GrantError as exc:
        return exc


def _hand_out(
    core: Core, operation: _Redeem, committed: Committed[_Entitled], opened: dict[tuple[str, str], bytes]
) -> Redeemed | Exception:
    """Checkpoint and sealed reference. `opened`: the references of this call, so that each is decrypted once."""
    grant, entitled = operation.grant, committed.value
    try:
        with _closed_on_failure(core, grant):
            note = committed.note.text()
            if not grant.basis.is_clone:
                return Redeemed(grant, entitled.leaf, note, watermark=operation.mark)
            asked = (grant.voice_id, entitled.prompt_digest)
            if asked not in opened:
                with fail_closed():
                    opened[asked] = core.vault.open(grant.tenant, grant.voice_id, "reference", asked[1])
            info = reference_info(grant.grant_id, operation.replica_id)
            sealed = seal(entitled.public_key, opened[asked], info)
            return Redeemed(grant, entitled.leaf, note, sealed, operation.mark)
    except Exception as exc:  # noqa: BLE001 - it is this grant's outcome
        return exc


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


def _checked(group: Group, grant: Grant, replica_id: str) -> State:
    """What may have changed since the grant was signed."""
    writing = group.writing
    if writing.now > grant.start_by:
        raise GrantExpired("the grant's time to start has passed; ask the gate again")
    voice_id = grant.voice_id if grant.basis.is_clone else ""
    state = group.state(grant.key_id, replica_id, voice_id, grant.consent_id)
    if state is None or not access.is_live(state.key_revoked_at, state.key_expires_at, writing.now):
        raise GrantRevoked("the API key that asked was revoked or has expired", code="key_revoked")
    if grant.basis.is_clone:
        if state.voice_state != "active" or state.voice_epoch != grant.voice_epoch:
            raise GrantRevoked("a consent of this voice was withdrawn since; ask the gate again")
        if grant.basis is Basis.CONSENT:
            _check_consent(group, grant, state.consent)
    if grant.grant_id in group.used:
        raise GrantUsed("the grant was used before; ask the gate for a new one")
    return state


def _check_consent(group: Group, grant: Grant, consent: policy.ConsentFacts | None) -> None:
    if consent is None or consent.version != grant.consent_version:
        raise GrantRevoked("the consent was changed since; ask the gate again")
    refused = policy.standing_of(consent, group.writing.now)
    if refused is None:
        used = replace(consent, characters_used=group.characters_used(consent))
        if not policy.within_budget(used, grant.characters):
            refused = policy.deny("budget_exhausted")
    if refused is not None:
        raise GrantRevoked(refused.reason, code=refused.code)


def _use_up(group: Group, grant: Grant, state: State, kind: str, spoken: int, **how: Any) -> int:
    """Spend the nonce and append the entry: neither is ever there without the other."""
    writing = group.writing
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
        said=writing.log.said(grant.said_digest, state.said_salt if grant.basis.is_clone else None),
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
    group.redeem(row, grant.consent_id, spoken)
    return leaf


def _note_refusal(group: Group, grant: Grant, error: ConsentError) -> None:
    group.writing.log.append(
        "speech.refused",
        by=grant.key_id,
        code=error.code,
        grant=grant.grant_id,
        voice=grant.voice_id if grant.basis.is_clone else None,
    )


def _require_same(group: Group, grant: Grant, cached_clip_id: str) -> None:
    """A cached clip goes out only where the grant would have made the very same one."""
    row = clips.row_of(group.writing.connection, group.writing.tenant, cached_clip_id)
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


def _no_such_grant() -> NotFound:
    return NotFound("no such grant was redeemed", code="grant_unknown")
