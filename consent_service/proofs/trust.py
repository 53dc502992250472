"""The public keys that a verifier trusts: of logs, and of those who sign receipts and statements. Pure.

One C2SP verifier key (`name+hash+base64`) per line. A log's key bears the log's origin; a statement key bears
`<origin>/statements/<key id>`. After a key that was superseded stands, behind a space, the size of the log until which
it counts: what it signed over a longer log is refused, whatever date it bears. Whoever shall verify gets this file
once, by a way that they trust; what is signed may then come from anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from consent_service.errors import ProofInvalid
from consent_service.proofs.checkpoint import MOST_DIGITS, Checkpoint, LogKey, verify_checkpoint

_STATEMENTS: Final = "/statements/"


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """`logs`: current and former keys. `statements`: key id → 32 raw bytes (Ed25519). `ends`: public key of a
    superseded one → the longest log that it may have signed."""

    logs: tuple[LogKey, ...]
    statements: Mapping[str, bytes]
    ends: Mapping[bytes, int] = field(default_factory=dict)

    def verify_checkpoint(self, note: str) -> Checkpoint:
        """Raises ProofInvalid unless one of the logs' keys signed it while it counted."""
        for key in self.logs:
            try:
                seen = verify_checkpoint(note, key)
            except ProofInvalid:
                continue  # another log's, or a former key's
            self._require_in_time(key.public_key, seen.size)
            return seen
        raise ProofInvalid("the checkpoint is not signed by a log that is trusted here")

    def verify_resting_on(self, note: str, signed: str) -> Checkpoint:
        """The checkpoint that a receipt or statement holds, whose own signature was verified: by a trusted log, and no
        longer than that receipt's key counts for. Raises ProofInvalid."""
        seen = self.verify_checkpoint(note)
        self._require_in_time(self.statements[json.loads(signed)["signature"]["kid"]], seen.size)
        return seen

    def _require_in_time(self, public_key: bytes, size: int) -> None:
        if size > self.ends.get(public_key, size):
            raise ProofInvalid("signed by a key that had been superseded by then")

    def to_text(self, origin: str) -> str:
        keys = [LogKey(f"{origin}{_STATEMENTS}{kid}", raw) for kid, raw in sorted(self.statements.items())]
        return "".join(f"{self._line(key)}\n" for key in (*self.logs, *keys))

    def _line(self, key: LogKey) -> str:
        end = self.ends.get(key.public_key)
        return key.to_text() if end is None else f"{key.to_text()} {end}"

    @classmethod
    def from_text(cls, text: str) -> TrustedKeys:
        """Raises ProofInvalid."""
        if not text.endswith("\n"):
            raise ProofInvalid("not a file of verifier keys: the last line has no end")
        logs: list[LogKey] = []
        statements: dict[str, bytes] = {}
        ends: dict[bytes, int] = {}
        for line in text.removesuffix("\n").split("\n"):
            written, bounded, end = line.partition(" ")
            key = LogKey.from_text(written)
            if bounded:
                ends[key.public_key] = _size(end)
            _, mark, kid = key.origin.rpartition(_STATEMENTS)
            if mark:
                statements[kid] = key.public_key
            else:
                logs.append(key)
        return cls(tuple(logs), statements, ends)


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS and str(int(text)) == text):
        raise ProofInvalid("not a file of verifier keys: after a key stands the size of a log, or nothing")
    return int(text)
