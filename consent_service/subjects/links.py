"""Single-use links: how somebody shows that a message to a contact reached them.

A link's token is `<tenant>.<link id>.<secret>`; the secret is 256 random bits, of which the ledger keeps a SHA-256, as
it does of an API key's. Using a link marks its row in the transaction that does what the link is for. Whatever is wrong
with a link, the answer is LinkInvalid.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from consent_service.access import digest_of
from consent_service.core import Core, WriteTransaction
from consent_service.errors import LinkInvalid
from consent_service.ids import TENANT, new_id
from consent_service.ledger.rows import find_row, rows_of
from consent_service.ledger.tables import subject_links

_TOKEN: Final = re.compile(rf"({TENANT.pattern})\.(link_[0-9a-f]{{32}})\.([A-Za-z0-9_-]{{43}})")
_NO_SECRET: Final = bytes(32)


class LinkKind(StrEnum):
    """What a link is for; it is good for nothing else."""

    CONFIRM = "confirm"  # to a contact: it is reached there
    CHANGE = "change"  # to the contact so far: another may take its place
    SIGN_IN = "sign_in"


LIFETIME_S: Final = {
    LinkKind.CONFIRM: 7 * 86_400.0,
    LinkKind.CHANGE: 7 * 86_400.0,
    LinkKind.SIGN_IN: 15 * 60.0,
}


@dataclass(frozen=True, slots=True)
class Token:
    """A link that worked when the ledger was asked; it counts when it was used up."""

    tenant: str
    link_id: str
    kind: LinkKind
    secret: str = field(repr=False)


def issue(writing: WriteTransaction, *, subject_id: str, kind: LinkKind, contact: str, by: str) -> str:
    """A new link; returns its token, which is kept nowhere. `contact`: the address that it confirms or proposes."""
    link_id, secret = new_id("link"), secrets.token_urlsafe(32)
    row = {
        "link_id": link_id,
        "tenant": writing.tenant,
        "subject_id": subject_id,
        "kind": kind.value,
        "secret_sha256": digest_of(secret),
        "contact": contact,
        "requested_by": by,
        "created_at": writing.now,
        "expires_at": writing.now + LIFETIME_S[kind],
    }
    writing.connection.execute(insert(subject_links), row)
    return f"{writing.tenant}.{link_id}.{secret}"


def verify(core: Core, token: str, *kinds: LinkKind) -> Token:
    """Look for a link of one of these kinds that still works, before anything is locked. Raises LinkInvalid."""
    parts = _TOKEN.fullmatch(token)
    if parts is None:
        raise _invalid()
    tenant, link_id, secret = parts.groups()
    with core.ledger.read() as connection:
        row = _find(connection, tenant, link_id, secret, core.clock())
    if LinkKind(row["kind"]) not in kinds:
        raise _invalid()
    return Token(tenant, link_id, LinkKind(row["kind"]), secret)


def use_up(writing: WriteTransaction, token: Token) -> RowMapping:
    """The link's row, used from now on. Raises LinkInvalid."""
    row = _find(writing.connection, writing.tenant, token.link_id, token.secret, writing.now)
    used = rows_of(subject_links, writing.tenant, link_id=token.link_id)
    writing.connection.execute(update(subject_links).where(used).values(used_at=writing.now))
    return row


def _find(connection: Connection, tenant: str, link_id: str, secret: str, now: float) -> RowMapping:
    row = find_row(connection, subject_links, tenant, link_id=link_id)
    expected = _NO_SECRET if row is None else bytes(row["secret_sha256"])
    matches = hmac.compare_digest(digest_of(secret), expected)
    if not matches or row is None or row["used_at"] is not None or now >= row["expires_at"]:
        raise _invalid()
    return row


def withdraw(writing: WriteTransaction, subject_id: str, *kinds: LinkKind) -> None:
    """Forget a person's links of these kinds: those that are out no longer work."""
    named = subject_links.c.kind.in_([kind.value for kind in kinds])
    own = rows_of(subject_links, writing.tenant, subject_id=subject_id)
    writing.connection.execute(delete(subject_links).where(own, named))


def live(connection: Connection, tenant: str, subject_id: str, kind: LinkKind, now: float) -> int:
    """How many links of a kind are out and still work."""
    unused = rows_of(subject_links, tenant, subject_id=subject_id, kind=kind.value, used_at=None)
    query = select(subject_links.c.link_id).where(unused, subject_links.c.expires_at > now)
    return len(connection.execute(query).all())


def forget_expired(writing: WriteTransaction, subject_id: str) -> None:
    own = rows_of(subject_links, writing.tenant, subject_id=subject_id)
    writing.connection.execute(delete(subject_links).where(own, subject_links.c.expires_at <= writing.now))


def _invalid() -> LinkInvalid:
    return LinkInvalid("this link is not valid, was used, or has expired; ask for a new one")
