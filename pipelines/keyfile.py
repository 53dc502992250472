"""The API key of a run, in a file that only its owner can read.

A job's command line, metadata and runtime environment are shown on Ray's dashboard, and the arguments of an
actor lie in the object store: so what travels is the path, and every process reads the key itself.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from consent_service.errors import KeyFileUnsafe, Unauthenticated


def write_key_file(path: Path, api_key: str) -> Path:
    """Write a key with mode 0600 (made so, never loosened first). Returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(api_key)
    return path


def read_key_file(path: Path) -> str:
    """Raises Unauthenticated when there is none, KeyFileUnsafe when others can read it."""
    try:
        with path.open(encoding="ascii") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode) or mode & 0o077:
                raise KeyFileUnsafe(f"{path} can be read by others; chmod 600 it")
            return file.read(1024).strip()
    except (FileNotFoundError, UnicodeDecodeError) as exc:
        raise Unauthenticated(f"no API key in {path}; write one there with mode 600") from exc
