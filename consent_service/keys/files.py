"""Secrets in files: only their owner may read them, and they appear whole or not at all.

A file that others may read, that belongs to another user, or that is a link is refused, not repaired: it may
have been read already, and whoever runs the service should hear of it.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Final

from consent_service.errors import KeyFileUnsafe, VaultError

_UNFINISHED: Final = ".new"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def make_private_folder(folder: Path) -> None:
    """Create a folder (and its parents) for its owner alone, or check that it is one. Raises
    KeyFileUnsafe."""
    # `mkdir(parents=True)` would leave the parents it makes to the umask.
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    require_private_folder(folder)


def require_private_folder(folder: Path) -> None:
    try:
        found = folder.lstat()
    except OSError as exc:
        raise VaultError(f"the folder {folder.name}/ of the data directory is missing") from exc
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & _OTHERS:
        raise KeyFileUnsafe(f"{folder} must be a folder of the service's user with mode 0700")


def read_private(path: Path) -> bytes:
    """Raises KeyFileUnsafe when anyone else could have read it, FileNotFoundError when it is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise KeyFileUnsafe(f"{path} cannot be opened as a plain file of the service's user") from exc
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & _OTHERS:
            raise KeyFileUnsafe(f"{path} must belong to the service's user, with mode 0600")
        return file.read()


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 durably: after a crash it holds the old content, or all of the new."""
    # mkstemp creates with mode 0600. The name tells whose write it was: a copy must be found to be destroyed.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_UNFINISHED)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def unfinished(path: Path) -> list[Path]:
    """What writes of `path` left behind that died before the end."""
    return sorted(path.parent.glob(f".{escape(path.name)}.*{_UNFINISHED}"))


def sync_folder(folder: Path) -> None:
    """Make renames and deletions in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes. The kernel drops it when the holder dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
