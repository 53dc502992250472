"""The API key of a run, in a file that only its owner can read.

A job's command line, metadata and runtime environment are shown on Ray's dashboard, and an actor's arguments
lie in the object store: so what travels is the path, and every process reads the key itself.
"""

from __future__ import annotations

from pathlib import Path

from consent_service.errors import Unauthenticated
from foundation.private_files import read_private, write_private


def write_key_file(path: Path, api_key: str) -> Path:
    """Write a key with mode 0600, in place of any that was there. Returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(path, api_key.encode("ascii"))
    return path


def read_key_file(path: Path) -> str:
    """Raises Unauthenticated when there is none, KeyFileUnsafe when others can read it."""
    try:
        return read_private(path).decode("ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError) as exc:
        raise Unauthenticated(f"no API key in {path}; write one there with mode 600") from exc
