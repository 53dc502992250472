"""The audit log in the ledger: one RFC 6962 tree per tenant, written in the transaction of what it records.

An entry holds ids, codes, counts and digests: never a name, a text or a recording. What must be provable but
not readable (a name, a reason in words) goes in as a commitment, HMAC-SHA256 under a salt that lies in an
erasable table: without the salt the entry still verifies and says nothing. The row of the log's head is
locked first, so that leaves are numbered in the order in which they are committed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select, update

from consent_service.errors import NotFound
from consent_service.ledger.tables import log_entries, log_heads, log_nodes, salts
from consent_service.proofs import canonical
from consent_service.proofs.merkle import Frontier, Node, consistency_path, inclusion_path, leaf_hash

ENTRY_VERSION: Final = 1

_HEAD: Final = select(log_heads.c.size, log_heads.c.peaks, log_heads.c.said_salt).where(
    log_heads.c.tenant == bindparam("of")
)
_LOCKED_HEAD: Final = _HEAD.with_for_update()
_ADD_ENTRIES: Final = insert(log_entries)
_ADD_NODES: Final = insert(log_nodes)
_MOVE_HEAD: Final = update(log_heads).where(log_heads.c.tenant == bindparam("of"))


@dataclass(frozen=True, slots=True)
class LogMark:
    """How far a writer had come."""

    tree: Frontier
    entries: int
    nodes: int


class LogWriter:
    """Appends to one tenant's log within one transaction. `flush` must run before the commit."""

    def __init__(self, connection: Connection, tenant: str, clock: Callable[[], float]) -> None:
        self._connection, self._tenant = connection, tenant
        self.tree, self._said_salt = _head(connection, tenant, lock=True)
        # Read under the lock: the wait for it must not let through what ended meanwhile.
        self.now = clock()
        self._entries: list[bytes] = []
        self._nodes: list[Node] = []

    def append(self, kind: str, **fields: Any) -> int:
        """Add an entry; returns its leaf index. A field that is None is left out."""
        leaf = self.tree.size
        told = {name: value for name, value in fields.items() if value is not None}
        entry = canonical.dumps({**told, "at": self.now, "kind": kind, "n": leaf, "v": ENTRY_VERSION})
        self.tree, nodes = self.tree.append(leaf_hash(entry))
        self._entries.append(entry)
        self._nodes += nodes
        return leaf

    def commit_to(self, object_id: str, field: str, value: str) -> str:
        """A salted commitment to a value that the log must not hold, in hex."""
        salt = secrets.token_bytes(32)
        row = {"tenant": self._tenant, "object_id": object_id, "field": field, "salt": salt}
        self._connection.execute(insert(salts), row)
        return commitment(salt, value)

    def said(self, said_digest: str, voice_salt: bytes | None) -> str:
        """What an entry holds of what was said, in hex: a digest alone would let anyone with an export confirm a
        guess. Costs no query: a voice's salt lies in its row, the tenant's (for voices that are no person's) in
        the log's head."""
        return commitment(bytes(voice_salt) if voice_salt else self._said_salt, said_digest)

    def mark(self) -> LogMark:
        return LogMark(self.tree, len(self._entries), len(self._nodes))

    def undo(self, to: LogMark) -> None:
        """Forget what was appended since."""
        self.tree = to.tree
        del self._entries[to.entries :], self._nodes[to.nodes :]

    def flush(self) -> None:
        """Write what was appended."""
        if not self._entries:
            return
        first = self.tree.size - len(self._entries)
        self._connection.execute(
            _ADD_ENTRIES,
            [
                {"tenant": self._tenant, "leaf": first + at, "entry": raw}
                for at, raw in enumerate(self._entries)
            ],
        )
        self._connection.execute(
            _ADD_NODES,
            [
                {"tenant": self._tenant, "level": node.level, "position": node.index, "digest": node.digest}
                for node in self._nodes
            ],
        )
        head = {"of": self._tenant, "size": self.tree.size, "peaks": self.tree.to_bytes()}
        self._connection.execute(_MOVE_HEAD, head)
        self._entries.clear()
        self._nodes.clear()


def commitment(salt: bytes, value: str) -> str:
    """What an entry holds in place of a name. Whoever has salt and value can show that they belong to it."""
    return hmac.digest(salt, value.encode(), hashlib.sha256).hex()


def create_log(connection: Connection, tenant: str) -> None:
    connection.execute(insert(log_heads), {"tenant": tenant, "size": 0, "peaks": b""})


def current_tree(connection: Connection, tenant: str) -> Frontier:
    return _head(connection, tenant, lock=False)[0]


def entries(connection: Connection, tenant: str, start: int, stop: int) -> Iterator[bytes]:
    """The canonical JSON of leaves [start, stop), in order."""
    leaf = log_entries.c.leaf
    query = select(log_entries.c.entry).where(log_entries.c.tenant == tenant, leaf >= start, leaf < stop)
    # Options of the query, not of the connection: those would stay, and a later UPDATE has no cursor to stream.
    for row in connection.execute(query.order_by(leaf).execution_options(yield_per=1000)):
        yield bytes(row.entry)


def entry(connection: Connection, tenant: str, leaf: int) -> dict[str, Any]:
    """One leaf, read. Raises ValueError for one that the log does not have."""
    (raw,) = entries(connection, tenant, leaf, leaf + 1)
    fields: dict[str, Any] = json.loads(raw)
    return fields


def inclusion_proof(connection: Connection, tenant: str, leaf: int, size: int) -> list[bytes]:
    return inclusion_path(leaf, size, _NodeReader(connection, tenant))


def consistency_proof(connection: Connection, tenant: str, first: int, second: int) -> list[bytes]:
    return consistency_path(first, second, _NodeReader(connection, tenant))


class _NodeReader:
    """Reads stored subtree hashes of one tenant."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        self._connection, self._tenant = connection, tenant

    def __call__(self, level: int, index: int) -> bytes:
        nodes = log_nodes.c
        query = select(nodes.digest).where(
            nodes.tenant == self._tenant, nodes.level == level, nodes.position == index
        )
        return bytes(self._connection.execute(query).scalar_one())


def _head(connection: Connection, tenant: str, *, lock: bool) -> tuple[Frontier, bytes]:
    row = connection.execute(_LOCKED_HEAD if lock else _HEAD, {"of": tenant}).one_or_none()
    if row is None:
        raise NotFound("no such tenant")
    return Frontier.from_bytes(row.size, bytes(row.peaks)), bytes(row.said_salt)
