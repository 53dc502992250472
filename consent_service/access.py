"""Who may do what: roles to permissions in one table, and API keys.

An API key is `vouch_<id>_<secret>`; the ledger keeps a SHA-256 of the secret (256 random bits need no slow
hash) and the key is shown once. A role is no more than its row here, and what a key may do is read from the
ledger on every call: a principal that was revoked a moment ago is a stranger.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, RowMapping, bindparam, insert, select

from consent_service.errors import PermissionDenied, Unauthenticated
from consent_service.ledger.tables import api_keys
from consent_service.models import Claims, Principal, Role


class Permission(StrEnum):
    """What a method of the service may ask for."""

    KEY_MANAGE = "key_manage"
    KEY_BIND = "key_bind"
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


_P = Permission
# The people's roles first, then the machines'. GATE, REPLICA and STAMPER act through methods that take a
# signed grant instead of a principal; SUBJECT gets rights with the page of their own.
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
            }
        ),
        Role.REVIEWER: frozenset({_P.VOICE_REVIEW, _P.VOICE_READ}),
        Role.NARRATOR: frozenset({_P.SPEAK, _P.VOICE_READ, _P.CLIP_READ}),
        Role.AUDITOR: frozenset({_P.AUDIT_READ, _P.VOICE_READ, _P.CONSENT_READ, _P.CLIP_READ}),
        Role.SUBJECT: frozenset(),
        Role.OPERATOR: frozenset({_P.KEY_MANAGE, _P.KEY_BIND, _P.VOICE_READ, _P.AUDIT_READ}),
        Role.GATE: frozenset(),
        Role.REPLICA: frozenset(),
        Role.STAMPER: frozenset(),
        Role.JOB: frozenset({_P.SPEAK, _P.VOICE_READ, _P.CLIP_READ}),
    }
)

_PREFIX: Final = "vouch"
_NO_SECRET: Final = bytes(32)
_BY_ID: Final = select(api_keys).where(api_keys.c.key_id == bindparam("of"))


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; `token` is shown once and kept nowhere."""

    key_id: str
    token: str = field(repr=False)


def permits(roles: Iterable[Role], permission: Permission) -> bool:
    return any(permission in PERMISSIONS[role] for role in roles)


def insert_key(
    connection: Connection,
    *,
    tenant: str,
    grantee: str,
    roles: Iterable[Role],
    claims: Claims,
    label: str,
    now: float,
    expires_at: float | None,
) -> NewKey:
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    connection.execute(
        insert(api_keys),
        {
            "key_id": key_id,
            "tenant": tenant,
            "secret_sha256": digest_of(secret),
            "grantee": grantee,
            "roles": sorted(role.value for role in roles),
            "claims": asdict(claims),
            "label": label,
            "created_at": now,
            "expires_at": expires_at,
        },
    )
    return NewKey(key_id, f"{_PREFIX}_{key_id}_{secret}")


def authenticate(connection: Connection, token: str, now: float) -> Principal:
    """Raises Unauthenticated: one error, and one comparison, whatever is wrong."""
    prefix, _, rest = token.partition("_")
    key_id, _, secret = rest.partition("_")
    row = connection.execute(_BY_ID, {"of": key_id}).mappings().one_or_none()
    expected = _NO_SECRET if row is None else bytes(row["secret_sha256"])
    matches = hmac.compare_digest(digest_of(secret), expected)
    if not matches or row is None or prefix != _PREFIX or not _is_live(row, now):
        raise _unauthenticated()
    return _principal(row)


def reload(connection: Connection, by: Principal, now: float) -> Principal:
    """The caller as the ledger knows it now. Raises Unauthenticated when the key no longer lives."""
    row = connection.execute(_BY_ID, {"of": by.key_id}).mappings().one_or_none()
    if row is None or row["tenant"] != by.tenant or not _is_live(row, now):
        raise _unauthenticated()
    return _principal(row)


def key_is_live(connection: Connection, tenant: str, key_id: str, now: float) -> bool:
    row = connection.execute(_BY_ID, {"of": key_id}).mappings().one_or_none()
    return row is not None and row["tenant"] == tenant and _is_live(row, now)


def require(principal: Principal, permission: Permission) -> None:
    if not permits(principal.roles, permission):
        raise PermissionDenied(
            f"this key's roles do not include the right to {permission.value.replace('_', ' ')}"
        )


def digest_of(secret: str) -> bytes:
    """SHA-256 of a random secret, as the ledger keeps it."""
    # A caller may send any string; one that is not Unicode text is merely unknown.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def _is_live(row: RowMapping, now: float) -> bool:
    return row["revoked_at"] is None and (row["expires_at"] is None or now < row["expires_at"])


def _principal(row: RowMapping) -> Principal:
    return Principal(
        tenant=row["tenant"],
        key_id=row["key_id"],
        grantee=row["grantee"],
        roles=frozenset(Role(role) for role in row["roles"]),
        claims=Claims(**{axis: tuple(values) for axis, values in row["claims"].items()}),
        label=row["label"],
    )


def _unauthenticated() -> Unauthenticated:
    return Unauthenticated("the API key is missing, unknown, revoked or expired")
