"""What every operation of the service stands on: ledger, vault, keys, clock, and how a transaction is
entered.

Entering checks the caller against the ledger as it is now, pins the tenant, and (to write) takes the lock of
the tenant's audit log; leaving flushes the log and commits both together. No operation opens a connection of
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection

from consent_service import access
from consent_service.access import Permission
from consent_service.commit.group_commit import Committer
from consent_service.config import ConsentConfig
from consent_service.ledger.engine import Ledger
from consent_service.ledger.log import LogWriter
from consent_service.ledger.transaction import EVERYONE, FEED, WriteTransaction
from consent_service.models import Principal
from consent_service.proofs.checkpoint import Checkpoint, LogKey, sign_checkpoint
from consent_service.proofs.merkle import Frontier
from consent_service.proofs.protocols import KeyProvider
from consent_service.proofs.records import KeyPurpose
from consent_service.vault.vault import Vault

__all__ = ["EVERYONE", "FEED", "Core", "ReadTransaction", "WriteTransaction"]


@dataclass(frozen=True, slots=True)
class ReadTransaction:
    """A snapshot, seen by a caller whose right was checked."""

    connection: Connection
    tenant: str
    by: Principal
    now: float


@dataclass(frozen=True, slots=True)
class Core:
    """Thread-safe; stays in its process."""

    config: ConsentConfig
    ledger: Ledger
    keys: KeyProvider
    vault: Vault
    clock: Callable[[], float]
    _committers: dict[str, Committer] = field(default_factory=dict)

    @contextmanager
    def read(self, by: Principal, permission: Permission) -> Iterator[ReadTransaction]:
        with self.ledger.read() as connection:
            now = self.clock()
            caller = access.reload(connection, by, now)
            access.require(caller, permission)
            yield ReadTransaction(connection, caller.tenant, caller, now)

    @contextmanager
    def write(self, by: Principal, permission: Permission) -> Iterator[WriteTransaction]:
        with self.write_as(by.tenant) as writing:
            access.require(access.reload(writing.connection, by, writing.now), permission)
            yield writing

    @contextmanager
    def write_as(self, tenant: str) -> Iterator[WriteTransaction]:
        """For operations whose right is a signed grant, or that record a refusal."""
        with self.ledger.write() as connection:
            log = LogWriter(connection, tenant, self.clock)
            yield WriteTransaction(connection, tenant, log, log.now)
            log.flush()

    def committer(self, tenant: str) -> Committer:
        """Where operations on grants queue for the tenant's log."""
        known = self._committers.get(tenant)
        if known is None:
            begin, sign = partial(self.write_as, tenant), partial(self.checkpoint, tenant)
            # `setdefault` is atomic: of two threads that come first, both get the same one.
            known = self._committers.setdefault(tenant, Committer(begin, sign, self.ledger.busy_timeout_s))
        return known

    def origin(self, tenant: str) -> str:
        """The name of a tenant's log (C2SP: a schema-less URL)."""
        return f"{self.config.log_origin}/{tenant}"

    def log_key(self, tenant: str) -> LogKey:
        """The public half of the key that signs checkpoints now."""
        return LogKey(self.origin(tenant), self.keys.signer(KeyPurpose.LOG).public_key)

    def checkpoint(self, tenant: str, tree: Frontier) -> str:
        """A signed note over `tree`."""
        signer = self.keys.signer(KeyPurpose.LOG)
        claim = Checkpoint(self.origin(tenant), tree.size, tree.root())
        return sign_checkpoint(claim, signer.public_key, signer.sign)
