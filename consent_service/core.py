"""What every operation of the service stands on: ledger, vault, keys, clock, and how a transaction is
entered.

Entering checks the caller against the ledger as it is now, pins the tenant, and (to write) takes the lock of
the tenant's audit log; leaving flushes the log and commits both together. No operation opens a connection of
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from consent_service import access
from consent_service.access import Permission
from consent_service.audit import LogWriter
from consent_service.config import ConsentConfig
from consent_service.ledger.engine import Ledger
from consent_service.ledger.tables import counters, revocations
from consent_service.models import Principal, Revocation
from consent_service.proofs.checkpoint import Checkpoint, LogKey, sign_checkpoint
from consent_service.proofs.merkle import Frontier
from consent_service.proofs.seams import KeyProvider, KeyPurpose
from consent_service.vault import Vault

EVERYONE = "*"  # the tenant of rows that belong to the installation
FEED = "revocations"


@dataclass(frozen=True, slots=True)
class Reading:
    """A snapshot, seen by a caller whose right was checked."""

    connection: Connection
    tenant: str
    by: Principal
    now: float


@dataclass(frozen=True, slots=True)
class Writing:
    """A transaction on one tenant, with its audit log locked. It all happens, or nothing does."""

    connection: Connection
    tenant: str
    log: LogWriter
    now: float

    def publish_revocation(
        self, voice_id: str, epoch: int, consent_id: str | None, reason: str
    ) -> Revocation:
        """Append to the feed that gates and replicas follow."""
        feed = (counters.c.tenant == EVERYONE) & (counters.c.name == FEED)
        # Drawing the number first holds its row until the commit: no reader sees 8 before 7.
        self.connection.execute(update(counters).where(feed).values(value=counters.c.value + 1))
        seq = self.connection.execute(select(counters.c.value).where(feed)).scalar_one()
        entry = Revocation(seq, self.tenant, voice_id, epoch, consent_id, reason, self.now)
        self.connection.execute(
            insert(revocations),
            {
                "seq": seq,
                "tenant": self.tenant,
                "voice_id": voice_id,
                "voice_epoch": epoch,
                "consent_id": consent_id,
                "reason": reason,
                "at": self.now,
            },
        )
        return entry


@dataclass(frozen=True, slots=True)
class Core:
    """Thread-safe; stays in its process."""

    config: ConsentConfig
    ledger: Ledger
    keys: KeyProvider
    vault: Vault
    clock: Callable[[], float]

    @contextmanager
    def read(self, by: Principal, permission: Permission) -> Iterator[Reading]:
        with self.ledger.read() as connection:
            now = self.clock()
            caller = access.reload(connection, by, now)
            access.require(caller, permission)
            yield Reading(connection, caller.tenant, caller, now)

    @contextmanager
    def write(self, by: Principal, permission: Permission) -> Iterator[Writing]:
        with self.write_as(by.tenant) as writing:
            access.require(access.reload(writing.connection, by, writing.now), permission)
            yield writing

    @contextmanager
    def write_as(self, tenant: str) -> Iterator[Writing]:
        """For operations whose right is a signed grant, or that record a refusal."""
        with self.ledger.write() as connection:
            # The clock is read under the lock: a wait must not let an expired consent through.
            log = LogWriter(connection, tenant, now := self.clock())
            yield Writing(connection, tenant, log, now)
            log.flush()

    def origin(self, tenant: str) -> str:
        """The name of a tenant's log (C2SP: a schema-less URL)."""
        return f"{self.config.log_origin}/{tenant}"

    def log_key(self, tenant: str) -> LogKey:
        """The public half of the key that signs checkpoints now."""
        kid = self.keys.current_key_id(KeyPurpose.LOG)
        return LogKey(self.origin(tenant), self.keys.public_keys(KeyPurpose.LOG)[kid])

    def checkpoint(self, tenant: str, tree: Frontier) -> str:
        """A signed note over `tree`."""
        return sign_checkpoint(
            Checkpoint(self.origin(tenant), tree.size, tree.root()),
            self.log_key(tenant).public_key,
            lambda body: self.keys.sign(KeyPurpose.LOG, body)[1],
        )
