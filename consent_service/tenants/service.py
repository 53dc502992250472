"""Tenants and their API keys: who may call, and what a caller may claim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from consent_service import access
from consent_service.access import NewKey, Permission
from consent_service.consents import records
from consent_service.core import Core
from consent_service.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from consent_service.ids import ID, require_name, require_tenant
from consent_service.ledger import log as audit
from consent_service.ledger.log import LogWriter
from consent_service.ledger.rows import find_row, from_row, rows_of
from consent_service.ledger.tables import api_keys, bindings
from consent_service.ledger.tables import tenants as tenants_table
from consent_service.models import Claims, KeyInfo, Principal, Role
from consent_service.policy import purposes, terms
from consent_service.rotation import superseded

FIRST_ROLES: Final = (Role.OPERATOR, Role.VOICE_ADMIN)
WHO_INSTALLED: Final = (*FIRST_ROLES, Role.INSTALLATION)  # the first tenant's first key


class Tenants:
    """`ConsentService.tenants`. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def bootstrap(self, tenant: str, *, api_key: str | None = None) -> str:
        """First use only: create the tenant and an operator+voice_admin key (the first tenant's: the installation's
        too); returns the API key, shown once.
        Raises Conflict when the tenant exists. Local operation on the machine that holds the key files.
        `api_key`: one that `access.NewKey.mint` made, for a caller who must keep it before it counts."""
        require_tenant(tenant)
        key = NewKey.mint() if api_key is None else NewKey.of(api_key)
        with self._core.ledger.write() as connection:
            now = self._core.clock()
            roles = FIRST_ROLES if count(connection) else WHO_INSTALLED
            if find_row(connection, tenants_table, tenant) is not None:
                raise Conflict("this tenant exists; its operator can make more keys", code="tenant_exists")
            connection.execute(insert(tenants_table), {"tenant": tenant, "created_at": now})
            audit.create_log(connection, tenant)
            superseded.bound_for_new_tenant(self._core, connection, tenant)
            log = LogWriter(connection, tenant, self._core.clock)
            log.append("tenant.created")
            access.insert_key(
                connection, key, tenant=tenant, grantee=tenant, roles=roles, claims=Claims(),
                label="bootstrap", now=now, expires_at=None,
            )  # fmt: skip
            log.append("key.created", key=key.key_id, roles=[role.value for role in roles])
            log.flush()
        return key.token

    def create_key(
        self,
        by: Principal,
        *,
        grantee: str,
        roles: Sequence[Role],
        claims: Claims,
        label: str = "",
        expires_at: float | None = None,
    ) -> str:
        """A new API key of the caller's tenant ("vouch_" + id + secret). Stored hashed. Needs OPERATOR."""
        grantee, label = require_name(grantee, "a grantee"), require_name(label, "a label") if label else ""
        if not roles:
            raise InvalidInput("a key needs a role", code="role_missing")
        if Role.SUBJECT in roles:
            raise InvalidInput(
                "nobody hands out the role of a subject: the person signs in", code="role_not_assignable"
            )
        if not all(purposes.is_known(purpose) for purpose in claims.purposes):
            raise InvalidInput("a key can only claim known purposes", code="purpose_unknown")
        if not all(ID.fullmatch(voice) for voice in claims.voices):
            raise InvalidInput("a key claims voice ids, preset:NAME, design or *", code="voice_unknown")
        terms.require_scope(claims.territories, claims.channels)
        key = NewKey.mint()
        with self._core.write(by, Permission.KEY_MANAGE) as writing:
            if Role.INSTALLATION in roles:
                _require_installation(access.reload(writing.connection, by, writing.now))
            if expires_at is not None and not expires_at > writing.now:
                raise InvalidInput("a key expires in the future", code="validity_invalid")
            access.insert_key(
                writing.connection,
                key,
                tenant=writing.tenant,
                grantee=grantee,
                roles=roles,
                claims=claims,
                label=label,
                now=writing.now,
                expires_at=expires_at,
                created_by=by.key_id,
            )
            writing.log.append(
                "key.created",
                by=by.key_id,
                key=key.key_id,
                roles=sorted(role.value for role in roles),
                purposes=list(claims.purposes),
                grantee=writing.log.commit_to(key.key_id, "grantee", grantee),
                expires_at=expires_at,
            )
        return key.token

    def revoke_key(self, by: Principal, key_id: str) -> None:
        """Effective at once, also for grants that are out. Idempotent. Needs OPERATOR."""
        with self._core.write(by, Permission.KEY_MANAGE) as writing:
            row = _find_key(writing.connection, writing.tenant, key_id)
            if row["revoked_at"] is not None:
                return
            where_row = rows_of(api_keys, writing.tenant, key_id=key_id)
            writing.connection.execute(update(api_keys).where(where_row).values(revoked_at=writing.now))
            writing.log.append("key.revoked", by=by.key_id, key=key_id)

    def list_keys(self, by: Principal) -> list[KeyInfo]:
        """Every key of the tenant, without its secret. Needs OPERATOR."""
        with self._core.read(by, Permission.KEY_MANAGE) as reading:
            where_row = bindings.c.tenant == reading.tenant
            bound: dict[str, dict[str, str]] = {}
            for row in reading.connection.execute(select(bindings).where(where_row)):
                bound.setdefault(row.key_id, {})[row.voice_id] = row.consent_id
            query = (
                select(api_keys).where(api_keys.c.tenant == reading.tenant).order_by(api_keys.c.created_at)
            )
            return [
                _info(row, bound.get(row["key_id"], {}))
                for row in reading.connection.execute(query).mappings()
            ]

    def bind_consent(self, by: Principal, key_id: str, consent_id: str) -> None:
        """Make a consent the default of a key for its voice, so that a request needs no consent_token."""
        with self._core.write(by, Permission.KEY_BIND) as writing:
            key = _find_key(writing.connection, writing.tenant, key_id)
            consent = records.to_consent(records.find(writing.connection, writing.tenant, consent_id))
            if key["revoked_at"] is not None or consent.state != "live":
                raise Conflict("the key or the consent was revoked", code="consent_revoked")
            if key["grantee"] != consent.terms.grantee:
                raise Conflict(
                    "the consent was given to another grantee than the key's", code="grantee_mismatch"
                )
            where_row = rows_of(bindings, writing.tenant, key_id=key_id, voice_id=consent.voice_id)
            writing.connection.execute(delete(bindings).where(where_row))
            bound = {"key_id": key_id, "voice_id": consent.voice_id, "consent_id": consent_id}
            writing.connection.execute(insert(bindings), {"tenant": writing.tenant, **bound})
            writing.log.append(
                "key.bound", by=by.key_id, key=key_id, voice=consent.voice_id, consent=consent_id
            )


def count(connection: Connection) -> int:
    """How many tenants there are."""
    return int(connection.execute(select(func.count()).select_from(tenants_table)).scalar_one())


def _require_installation(by: Principal) -> None:
    """An operator of one tenant makes no key that reaches the others."""
    if Role.INSTALLATION not in by.roles:
        raise PermissionDenied("only a key with the role of the installation gives that role on")


def _info(row: RowMapping, bound: dict[str, str]) -> KeyInfo:
    return from_row(
        KeyInfo,
        row,
        roles=tuple(Role(role) for role in row["roles"]),
        claims=Claims(**{axis: tuple(values) for axis, values in row["claims"].items()}),
        bindings=bound,
    )


def _find_key(connection: Connection, tenant: str, key_id: str) -> RowMapping:
    row = find_row(connection, api_keys, tenant, key_id=key_id)
    if row is None:
        raise NotFound("no such key", code="key_unknown")
    return row
