"""Single-use signed links: how somebody shows that a message to a contact reached them.

A link's token names tenant, link and purpose, carries 256 random bits, and is signed, so that one that nobody sent
is refused before the ledger is asked. The ledger keeps a hash of the secret, never the token; using a link marks its
row in the transaction that does what the link is for. Whatever is wrong with a link, the answer is LinkInvalid.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from consent_service.access import digest_of
from consent_service.core import Writing
from consent_service.errors import LinkInvalid
from consent_service.ids import new_id
from consent_service.ledger.tables import subject_links
from consent_service.proofs.seams import KeyProvider, KeyPurpose

# What is signed begins with words that no receipt begins with: the two share a key, and nothing else.
_DOMAIN: Final = b"vouch.subject-link.v1\0"
_LONGEST: Final = 2000


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
    """A link's token whose signature was verified."""

    tenant: str
    link_id: str
    kind: LinkKind
    secret: str = field(repr=False)


def issue(
    writing: Writing, keys: KeyProvider, *, subject_id: str, kind: LinkKind, contact: str, by: str
) -> str:
    """A new link; returns its token, which is kept nowhere. `contact`: the address that it confirms or proposes."""
    link_id, secret = new_id("link"), secrets.token_urlsafe(32)
    expires_at = writing.now + LIFETIME_S[kind]
    row = {
        "link_id": link_id,
        "tenant": writing.tenant,
        "subject_id": subject_id,
        "kind": kind.value,
        "secret_sha256": digest_of(secret),
        "contact": contact,
        "requested_by": by,
        "created_at": writing.now,
        "expires_at": expires_at,
    }
    writing.connection.execute(insert(subject_links), row)
    payload = rfc8785.dumps({"i": link_id, "k": kind.value, "s": secret, "t": writing.tenant})
    return _sign(payload, lambda message: keys.sign(KeyPurpose.RECEIPT, message))


def verify(token: str, keys: KeyProvider, *kinds: LinkKind) -> Token:
    """Signature and purpose; whether the link still counts, only the ledger knows. Raises LinkInvalid."""
    try:
        payload, kid, signature = _unpack(token)
        public_key = Ed25519PublicKey.from_public_bytes(keys.public_keys(KeyPurpose.RECEIPT)[kid])
        public_key.verify(signature, _DOMAIN + payload)
        said: dict[str, Any] = json.loads(payload)
        found = Token(said["t"], said["i"], LinkKind(said["k"]), said["s"])
    except (ValueError, KeyError, TypeError, InvalidSignature) as exc:
        raise _invalid() from exc
    if found.kind not in kinds:
        raise _invalid()
    return found


def use_up(writing: Writing, token: Token) -> RowMapping:
    """The link's row, used from now on. Raises LinkInvalid."""
    mine = (subject_links.c.tenant == writing.tenant) & (subject_links.c.link_id == token.link_id)
    query = select(subject_links).where(mine, subject_links.c.kind == token.kind.value)
    row = writing.connection.execute(query).mappings().one_or_none()
    expected = bytes(32) if row is None else bytes(row["secret_sha256"])
    matches = hmac.compare_digest(digest_of(token.secret), expected)
    if not matches or row is None or row["used_at"] is not None or writing.now >= row["expires_at"]:
        raise _invalid()
    writing.connection.execute(update(subject_links).where(mine).values(used_at=writing.now))
    return row


def withdraw(writing: Writing, subject_id: str, *kinds: LinkKind) -> None:
    """Forget a person's links of these kinds: those that are out no longer work."""
    writing.connection.execute(
        delete(subject_links).where(
            subject_links.c.tenant == writing.tenant,
            subject_links.c.subject_id == subject_id,
            subject_links.c.kind.in_([kind.value for kind in kinds]),
        )
    )


def live(connection: Connection, tenant: str, subject_id: str, kind: LinkKind, now: float) -> int:
    """How many links of a kind are out and still work."""
    links = subject_links.c
    rows = connection.execute(
        select(links.link_id).where(
            links.tenant == tenant,
            links.subject_id == subject_id,
            links.kind == kind.value,
            links.used_at.is_(None),
            links.expires_at > now,
        )
    )
    return len(rows.all())


def forget_expired(writing: Writing, subject_id: str) -> None:
    links = subject_links.c
    gone = (
        (links.tenant == writing.tenant)
        & (links.subject_id == subject_id)
        & (links.expires_at <= writing.now)
    )
    writing.connection.execute(delete(subject_links).where(gone))


def _sign(payload: bytes, sign: Callable[[bytes], tuple[str, bytes]]) -> str:
    kid, signature = sign(_DOMAIN + payload)
    return f"{_b64(payload)}.{kid}.{_b64(signature)}"


def _unpack(token: str) -> tuple[bytes, str, bytes]:
    if len(token) > _LONGEST:
        raise ValueError("too long")
    first, kid, last = token.split(".")
    payload, signature = _unb64(first), _unb64(last)
    if f"{_b64(payload)}.{kid}.{_b64(signature)}" != token:
        raise ValueError("not in canonical form")
    return payload, kid, signature


def _invalid() -> LinkInvalid:
    return LinkInvalid("this link is not valid, was used, or has expired; ask for a new one")


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
