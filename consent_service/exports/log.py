"""The tenant's audit log for those who check it: entries, checkpoints, proofs, and the whole of it exported. `proofs`
verifies all of them without us."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from consent_service.access import Permission
from consent_service.core import Core
from consent_service.errors import InvalidInput, NotFound
from consent_service.ledger import log
from consent_service.models import Principal
from consent_service.proofs.log import CHECKPOINT, ENTRIES, KEY

MAX_AT_ONCE: Final = 10_000


class Log:
    """`ConsentService.log`. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def export(self, by: Principal, folder: Path) -> None:
        """entries.jsonl, checkpoint, public key, all from one snapshot: what `proofs.log.verify_export(folder)` needs
        offline. Raises InvalidInput (folder_unusable)."""
        with self._core.read(by, Permission.AUDIT_READ) as reading:
            tree = log.current_tree(reading.connection, reading.tenant)
            entries = log.entries(reading.connection, reading.tenant, 0, tree.size)
            note, key = self._core.checkpoint(reading.tenant, tree), self._core.log_key(reading.tenant)
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with (folder / ENTRIES).open("wb") as file:
                    file.writelines(entry + b"\n" for entry in entries)
                (folder / CHECKPOINT).write_bytes(note.encode())
                (folder / KEY).write_bytes(key.to_text().encode() + b"\n")
            except OSError as exc:
                raise InvalidInput(
                    "the export can't be written to that folder", code="folder_unusable"
                ) from exc

    def checkpoint(self, by: Principal) -> str:
        """A signed note over the tenant's log as it is now. Needs AUDITOR or OPERATOR, as all here."""
        with self._core.read(by, Permission.AUDIT_READ) as reading:
            return self._core.checkpoint(reading.tenant, log.current_tree(reading.connection, reading.tenant))

    def entries(self, by: Principal, start: int = 0, limit: int = 1000) -> list[str]:
        """Canonical JSON of the leaves from `start` on, in order."""
        with self._core.read(by, Permission.AUDIT_READ) as reading:
            stop = start + max(0, min(limit, MAX_AT_ONCE))
            return [raw.decode() for raw in log.entries(reading.connection, reading.tenant, start, stop)]

    def inclusion_proof(self, by: Principal, leaf: int, size: int) -> list[bytes]:
        """For `proofs.merkle.verify_inclusion`. NotFound when the log is not that long."""
        with self._core.read(by, Permission.AUDIT_READ) as reading:
            known = log.current_tree(reading.connection, reading.tenant).size
            if not 0 <= leaf < size <= known:
                raise NotFound("the log has no such leaf at that size", code="leaf_unknown")
            return log.inclusion_proof(reading.connection, reading.tenant, leaf, size)

    def consistency_proof(self, by: Principal, first: int, second: int) -> list[bytes]:
        """For `proofs.merkle.verify_consistency`. NotFound when the log is not that long."""
        with self._core.read(by, Permission.AUDIT_READ) as reading:
            known = log.current_tree(reading.connection, reading.tenant).size
            if not 0 < first <= second <= known:
                raise NotFound("the log has no such size", code="leaf_unknown")
            return log.consistency_proof(reading.connection, reading.tenant, first, second)
