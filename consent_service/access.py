"""Who may do what: roles to permissions in one table, and API keys.

An API key is `vouch_<id>_<secret>`; the ledger keeps a SHA-256 of the secret (256 random bits need no slow
hash) and the key is shown once. A role is no more than its row here, and what a key may do is read from the
ledger on every call: a principal that was revoked a moment ago is a stranger.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, RowMapping, bindparam, insert, select

from consent_service.errors import InvalidInput, PermissionDenied, Unauthenticated
from consent_service.ledger.rows import from_row
from consent_service.ledger.tables import api_keys
from consent_service.models import Claims, Principal, Role


class Permission(StrEnum):
    """What a method of the service may ask for."""

    KEY_MANAGE = "key_manage"
    KEY_BIND = "key_bind"
    # The installation's own, whoever's voices it serves.
    KEY_ROTATE = "key_rotate"
    REPLICA_FORGET = "replica_forget"
    VOICE_ENROL = "voice_enrol"
    VOICE_REVIEW = "voice_review"
    VOICE_READ = "voice_read"
    VOICE_DECOMMISSION = "voice_decommission"
    CONSENT_RECORD = "consent_record"
    CONSENT_READ = "consent_read"
    CONSENT_REVOKE = "consent_revoke"
    SPEAK = "speak"
    CLIP_READ = "clip_read"
    AUDIT_READ = "audit_read"
    CONTACT_PROPOSE = "contact_propose"
    # What is the caller's own, and nobody else's.
    OWN_READ = "own_read"
    OWN_REVOKE = "own_revoke"
    OWN_DECOMMISSION = "own_decommission"
    # What the parts of a platform do around a clip (`gate.platform`).
    REPLICA_REGISTER = "replica_register"
    GRANT_REDEEM = "grant_redeem"
    FEED_READ = "feed_read"
    CLIP_WRITE = "clip_write"
    CLIP_CLOSE = "clip_close"
    CLIP_LOOK_UP = "clip_look_up"


_P = Permission
# The people's roles first, then the parts'. SUBJECT is never handed out: only signing in makes such a key, and it
# carries the one person whose voices it reaches. INSTALLATION is what reaches past one tenant: the first tenant's
# first key holds it, and only whoever holds it gives it on.
PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        Role.VOICE_ADMIN: frozenset(
            {
                _P.KEY_BIND,
                _P.VOICE_ENROL,
                _P.VOICE_READ,
                _P.VOICE_DECOMMISSION,
                _P.CONSENT_RECORD,
                _P.CONSENT_READ,
                _P.CONSENT_REVOKE,
                _P.CLIP_READ,
                _P.CONTACT_PROPOSE,
            }
        ),
        Role.REVIEWER: frozenset({_P.VOICE_REVIEW, _P.VOICE_READ}),
        Role.NARRATOR: frozenset({_P.SPEAK, _P.VOICE_READ, _P.CLIP_READ}),
        Role.AUDITOR: frozenset({_P.AUDIT_READ, _P.VOICE_READ, _P.CONSENT_READ, _P.CLIP_READ}),
        Role.SUBJECT: frozenset({_P.OWN_READ, _P.OWN_REVOKE, _P.OWN_DECOMMISSION}),
        Role.OPERATOR: frozenset({_P.KEY_MANAGE, _P.KEY_BIND, _P.VOICE_READ, _P.AUDIT_READ}),
        Role.INSTALLATION: frozenset({_P.KEY_ROTATE, _P.REPLICA_FORGET}),
        Role.GATE: frozenset({_P.GRANT_REDEEM, _P.FEED_READ, _P.CLIP_CLOSE, _P.CLIP_LOOK_UP}),
        Role.REPLICA: frozenset({_P.REPLICA_REGISTER, _P.GRANT_REDEEM, _P.FEED_READ}),
        Role.STAMPER: frozenset({_P.CLIP_WRITE, _P.CLIP_CLOSE, _P.CLIP_LOOK_UP}),
        Role.JOB: frozenset({_P.SPEAK, _P.VOICE_READ, _P.CLIP_READ}),
    }
)

_PREFIX: Final = "vouch"
_TOKEN: Final = re.compile(r"vouch_[0-9a-f]{16}_[A-Za-z0-9_-]{43}")
_NO_SECRET: Final = bytes(32)
_BY_ID: Final = select(api_keys).where(api_keys.c.key_id == bindparam("of"))


# Whoever administers or reviews sees every voice; whoever speaks sees those that the key may claim.
SEES_EVERY_VOICE: Final = frozenset({Role.VOICE_ADMIN, Role.AUDITOR, Role.REVIEWER, Role.OPERATOR})


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that does not count yet; `token` is shown once and kept nowhere."""

    key_id: str
    token: str = field(repr=False)

    @classmethod
    def mint(cls) -> NewKey:
        key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        return cls(key_id, f"{_PREFIX}_{key_id}_{secret}")

    @classmethod
    def of(cls, token: str) -> NewKey:
        """A key that `mint` made. Raises InvalidInput (key_malformed)."""
        if not _TOKEN.fullmatch(token):
            raise InvalidInput("not an API key of this product", code="key_malformed")
        return cls(key_id_of(token), token)


def permits(roles: Iterable[Role], permission: Permission) -> bool:
    return any(permission in PERMISSIONS[role] for role in roles)


def may_see(principal: Principal, voice_id: str) -> bool:
    """Whether a ledger voice exists as far as this caller is concerned."""
    sees_all = not SEES_EVERY_VOICE.isdisjoint(principal.roles) or "*" in principal.claims.voices
    return sees_all or voice_id in principal.claims.voices


def key_id_of(token: str) -> str:
    """The part of an API key that is not secret; of any other string, whatever stands in its place."""
    return token.partition("_")[2].partition("_")[0]


def insert_key(
    connection: Connection,
    key: NewKey,
    *,
    tenant: str,
    grantee: str,
    roles: Iterable[Role],
    claims: Claims,
    label: str,
    now: float,
    expires_at: float | None,
    subject_id: str | None = None,
    created_by: str | None = None,
) -> None:
    connection.execute(
        insert(api_keys),
        {
            "key_id": key.key_id,
            "tenant": tenant,
            "secret_sha256": digest_of(_secret_of(key.token)),
            "grantee": grantee,
            "roles": sorted(role.value for role in roles),
            "claims": asdict(claims),
            "label": label,
            "created_at": now,
            "expires_at": expires_at,
            "subject_id": subject_id,
            "created_by": created_by,
        },
    )


def lineage(connection: Connection, tenant: str, key_id: str) -> list[str]:
    """The key that made this one, the key that made that one, and so on to the tenant's first."""
    made_by: list[str] = []
    while True:
        row = connection.execute(_BY_ID, {"of": key_id}).mappings().one_or_none()
        if row is None or row["tenant"] != tenant or row["created_by"] is None:
            return made_by
        made_by.append(key_id := row["created_by"])


def authenticate(connection: Connection, token: str, now: float) -> Principal:
    """Raises Unauthenticated: one error, and one comparison, whatever is wrong."""
    row = connection.execute(_BY_ID, {"of": key_id_of(token)}).mappings().one_or_none()
    expected = _NO_SECRET if row is None else bytes(row["secret_sha256"])
    matches = hmac.compare_digest(digest_of(_secret_of(token)), expected)
    if not matches or row is None or not token.startswith(f"{_PREFIX}_") or not _is_live(row, now):
        raise unauthenticated()
    return _principal(row)


def reload(connection: Connection, by: Principal, now: float) -> Principal:
    """The caller as the ledger knows it now. Raises Unauthenticated when the key no longer lives."""
    row = connection.execute(_BY_ID, {"of": by.key_id}).mappings().one_or_none()
    if row is None or row["tenant"] != by.tenant or not _is_live(row, now):
        raise unauthenticated()
    return _principal(row)


def require(principal: Principal, permission: Permission) -> None:
    if not permits(principal.roles, permission):
        raise PermissionDenied(
            f"this key's roles do not include the right to {permission.value.replace('_', ' ')}"
        )


def digest_of(secret: str) -> bytes:
    """SHA-256 of a random secret, as the ledger keeps it."""
    # A caller may send any string; one that is not Unicode text is merely unknown.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def _secret_of(token: str) -> str:
    return token.partition("_")[2].partition("_")[2]


def _is_live(row: RowMapping, now: float) -> bool:
    return is_live(row["revoked_at"], row["expires_at"], now)


def is_live(revoked_at: float | None, expires_at: float | None, now: float) -> bool:
    """Whether a key with these dates counts at `now`."""
    return revoked_at is None and (expires_at is None or now < expires_at)


def _principal(row: RowMapping) -> Principal:
    return from_row(
        Principal,
        row,
        roles=frozenset(Role(role) for role in row["roles"]),
        claims=Claims(**{axis: tuple(values) for axis, values in row["claims"].items()}),
    )


def unauthenticated() -> Unauthenticated:
    """One error for every way of not being known."""
    return Unauthenticated("the API key is missing, unknown, revoked or expired")
