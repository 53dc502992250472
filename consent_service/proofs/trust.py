"""The public keys that a verifier trusts: of logs, and of those who sign receipts and statements. Pure.

One C2SP verifier key (`name+hash+base64`) per line. A log's key bears the log's origin; a statement key bears
`<origin>/statements/<key id>`. Whoever shall verify gets this file once, by a way that they trust; what is signed
may then come from anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from consent_service.errors import ProofInvalid
from consent_service.proofs.checkpoint import Checkpoint, LogKey, verify_checkpoint

_STATEMENTS: Final = "/statements/"


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """`logs`: current and former keys. `statements`: key id → 32 raw bytes (Ed25519)."""

    logs: tuple[LogKey, ...]
    statements: Mapping[str, bytes]

    def verify_checkpoint(self, note: str) -> Checkpoint:
        """Raises ProofInvalid unless one of the logs' keys signed it."""
        for key in self.logs:
            try:
                return verify_checkpoint(note, key)
            except ProofInvalid:
                continue  # another log's, or a former key's
        raise ProofInvalid("the checkpoint is not signed by a log that is trusted here")

    def to_text(self, origin: str) -> str:
        keys = [LogKey(f"{origin}{_STATEMENTS}{kid}", raw) for kid, raw in sorted(self.statements.items())]
        return "".join(f"{key.to_text()}\n" for key in (*self.logs, *keys))

    @classmethod
    def from_text(cls, text: str) -> TrustedKeys:
        """Raises ProofInvalid."""
        if not text.endswith("\n"):
            raise ProofInvalid("not a file of verifier keys: the last line has no end")
        logs: list[LogKey] = []
        statements: dict[str, bytes] = {}
        for key in map(LogKey.from_text, text.removesuffix("\n").split("\n")):
            _, mark, kid = key.origin.rpartition(_STATEMENTS)
            if mark:
                statements[kid] = key.public_key
            else:
                logs.append(key)
        return cls(tuple(logs), statements)
