"""The token of this machine's embedded Ray.

Ray protects a cluster that it starts itself with a token, but keeps that token to itself; whoever wants to submit a job
to `vouch up` from another terminal needs it. So it lies in the data directory, readable by its owner alone.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from foundation.private_files import write_private
from vouch.output import Failed

NAME: Final = "ray.token"


def protect(data_dir: Path) -> None:
    """Before Ray is imported: start it under this machine's token, made the first time."""
    path = data_dir / NAME
    if "RAY_AUTH_MODE" in os.environ:
        return  # the operator decides
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        write_private(path, secrets.token_hex(32).encode())
    _use(path)


def present(data_dir: Path) -> None:
    """Before Ray is imported: send this machine's token, if there is one and nobody said otherwise."""
    path = data_dir / NAME
    if "RAY_AUTH_MODE" not in os.environ and path.exists():
        _use(path)


def _use(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        raise Failed("key_file_unsafe", f"{path} is readable by others: chmod 600 it")
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)
