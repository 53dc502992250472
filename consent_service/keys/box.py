"""Where rings lie, and how their secrets are kept there: plain in files that only their owner may read."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from consent_service.errors import VaultError
from foundation.private_files import (
    read_private,
    require_private_folder,
    sync_folder,
    write_private,
)


class Sealer(Protocol):
    """How secrets are kept."""

    def seal(self, name: str, secret: bytes) -> bytes:
        """A secret in the form in which it may be written to the file `name`."""
        ...

    def open(self, name: str, kept: bytes) -> bytes:
        """Reverse of `seal`. Raises VaultError."""
        ...


class KeyBox(Sealer, Protocol):
    """A place for a handful of small files. Thread-safe."""

    @property
    def behind_s(self) -> float:
        """How long another process may go on without noticing what is written here."""
        ...

    def stamp(self, name: str) -> object:
        """Changes when the file may have changed. Raises VaultError when it is missing."""
        ...

    def read(self, name: str) -> bytes:
        """Raises VaultError when it is missing, KeyFileUnsafe when others could have read it."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """In one piece, durably."""
        ...

    def has(self, name: str) -> bool: ...

    def delete(self, name: str) -> None: ...


class InTheClear:
    """As they are: files that only their owner may read protect them."""

    def seal(self, name: str, secret: bytes) -> bytes:
        return secret

    def open(self, name: str, kept: bytes) -> bytes:
        return kept


class FolderBox(InTheClear):
    """A folder of this machine, or of a file system that machines share."""

    behind_s = 0.0

    def __init__(self, folder: Path) -> None:
        """Raises VaultError when it is missing, KeyFileUnsafe when it is loose."""
        try:
            require_private_folder(folder)
        except OSError as exc:
            raise VaultError(f"the folder {folder.name}/ of the data directory is missing") from exc
        self.folder = folder
        self._paths: dict[
            str, Path
        ] = {}  # asked for with every signature: joining a path costs more than the look

    @classmethod
    def create(cls, folder: Path, files: Mapping[str, bytes]) -> FolderBox:
        """All of the files or none: a half-made folder never carries the name."""
        parts = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".keys-"))  # mkdtemp creates with mode 0700
        try:
            for name, content in files.items():
                write_private(parts / name, content)
            os.rename(parts, folder)  # noqa: PTH104 - unlike Path.replace it says what is meant: never over another
        except BaseException:
            shutil.rmtree(parts, ignore_errors=True)
            raise
        sync_folder(folder.parent)
        return cls(folder)

    def stamp(self, name: str) -> object:
        path = self._paths.get(name)
        if path is None:
            path = self._paths[name] = self.folder / name
        try:
            found = path.lstat()
        except FileNotFoundError:
            raise _missing(name) from None
        return (found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode)

    def read(self, name: str) -> bytes:
        try:
            return read_private(self.folder / name)
        except FileNotFoundError:
            raise _missing(name) from None

    def write(self, name: str, content: bytes) -> None:
        write_private(self.folder / name, content)

    def has(self, name: str) -> bool:
        return os.path.lexists(self.folder / name)

    def delete(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        sync_folder(self.folder)

    def __repr__(self) -> str:
        return f"FolderBox({str(self.folder)!r})"


def _missing(name: str) -> VaultError:
    return VaultError(f"the key file {name} is missing; restore the keys folder from its backup")
