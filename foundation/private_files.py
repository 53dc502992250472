"""Files that appear whole or not at all; and secrets in files, which only their owner may read.

A file that others may read, that belongs to another user, or that is a link is refused, not repaired: it may
have been read already, and whoever runs the service should hear of it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Final

from foundation.errors import CodedError

_UNFINISHED: Final = ".new"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeyFileUnsafe(CodedError):
    """A secret's file or folder can be read by others than its owner."""

    code = "key_file_unsafe"


def make_private_folder(folder: Path) -> None:
    """Create a folder (and its parents) for its owner alone, or check that it is one. Raises KeyFileUnsafe."""
    # `mkdir(parents=True)` would leave the parents it makes to the umask.
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    require_private_folder(folder)


def require_private_folder(folder: Path) -> None:
    """Raises KeyFileUnsafe, or OSError when it is not there."""
    found = folder.lstat()
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
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & _OTHERS:
            raise KeyFileUnsafe(f"{path} must belong to the service's user, with mode 0600")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600, whole or not at all."""
    with replacing(path, mode=0o600) as unfinished_copy:
        unfinished_copy.write_bytes(content)


@contextmanager
def replacing(path: Path, *, mode: int = 0o666) -> Iterator[Path]:
    """An empty file beside `path` to write to, which takes its place, durably, when the block ends well: after a crash
    `path` holds the old content or all of the new. mode: of the new file, less the umask."""
    # The name tells whose write it was: a copy must be found to be destroyed.
    unfinished_copy = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_UNFINISHED}")
    descriptor = os.open(
        unfinished_copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode
    )
    try:
        try:
            yield unfinished_copy
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        unfinished_copy.replace(path)
    except BaseException:
        unfinished_copy.unlink(missing_ok=True)
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
