"""Offline verification of an exported audit log: any change of any byte is found.

An export is a folder of three files: `entries.jsonl` (one canonical JSON entry per line, in order),
`checkpoint` (a C2SP signed note over them) and `log.vkey` (the log's public key). A key that lies beside what
it signed proves that the export is whole, not whose it is: give `trusted` to bind it to a key that you had
before.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import rfc8785

from consent_service.errors import ProofInvalid
from consent_service.proofs.checkpoint import LogKey, verify_checkpoint
from consent_service.proofs.merkle import Frontier, leaf_hash
from consent_service.proofs.trust import TrustedKeys

ENTRIES: Final = "entries.jsonl"
CHECKPOINT: Final = "checkpoint"
KEY: Final = "log.vkey"


@dataclass(frozen=True, slots=True)
class LogSummary:
    """What a verified log holds. `kinds`: entries of each kind; times are Unix seconds (0.0 when empty)."""

    origin: str
    size: int
    root: str
    first_at: float
    last_at: float
    kinds: Mapping[str, int]


def verify_export(folder: Path, *, trusted: LogKey | TrustedKeys | None = None) -> LogSummary:
    """Verify the three files of `folder` against each other. Raises ProofInvalid."""
    try:
        key_text = (folder / KEY).read_bytes().decode()
        note = (folder / CHECKPOINT).read_bytes().decode()
        key = LogKey.from_text(key_text.removesuffix("\n"))
        if key_text != key.to_text() + "\n":
            raise ProofInvalid("the key file is not in canonical form")
        known = trusted.logs if isinstance(trusted, TrustedKeys) else (trusted,)
        if trusted is not None and key not in known:
            raise ProofInvalid("the export was signed by another key than the trusted one")
        with (folder / ENTRIES).open("rb") as lines:
            return verify_log(lines, note, key)
    except (OSError, UnicodeDecodeError) as exc:
        raise ProofInvalid(
            f"the export lacks {ENTRIES}, {CHECKPOINT} or {KEY}, or they can't be read"
        ) from exc


def verify_log(lines: Iterable[bytes], note: str, key: LogKey) -> LogSummary:
    """Verify entries (each line ends in a newline) against a checkpoint. Memory does not grow with the
    log."""
    checkpoint = verify_checkpoint(note, key)
    tree, kinds, first_at, last_at = Frontier(), Counter[str](), 0.0, 0.0
    for line in lines:
        if not line.endswith(b"\n"):
            raise ProofInvalid(f"entry {tree.size} is cut off")
        entry = _entry(line[:-1], tree.size)
        last_at = float(entry["at"])
        first_at = first_at if tree.size else last_at
        kinds[str(entry["kind"])] += 1
        tree, _ = tree.append(leaf_hash(line[:-1]))
    if tree.size != checkpoint.size:
        raise ProofInvalid(f"the log has {tree.size} entries, its checkpoint says {checkpoint.size}")
    if tree.root() != checkpoint.root:
        raise ProofInvalid("the entries are not the ones the checkpoint was signed over")
    return LogSummary(checkpoint.origin, tree.size, tree.root().hex(), first_at, last_at, dict(kinds))


def _entry(raw: bytes, index: int) -> dict[str, Any]:
    try:
        entry = json.loads(raw)
        if entry["n"] != index or rfc8785.dumps(entry) != raw:
            raise ProofInvalid(f"entry {index} is out of order or not in canonical form")
        float(entry["at"]), str(entry["kind"])
    except (ValueError, KeyError, TypeError, RecursionError, rfc8785.CanonicalizationError) as exc:
        raise ProofInvalid(f"entry {index} is not an entry") from exc
    return dict(entry)
