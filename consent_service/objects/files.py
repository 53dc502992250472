"""Objects as files of this machine: mode 0600 in folders of mode 0700, written beside and renamed, synced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from consent_service.errors import ObjectMissing, StorageUnavailable
from consent_service.objects.store import Destroyed, require_name
from foundation.private_files import make_private_folder, sync_folder, unfinished, write_private


class FileObjects:
    """An `ObjectStore` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        with _room_errors():
            make_private_folder(self._folder)

    @property
    def url(self) -> str:
        return str(self._folder)

    @property
    def base_uri(self) -> str:
        return f"{self._folder.as_uri()}/"

    def uri(self, name: str) -> str:
        return self._path(name).as_uri()

    def put(self, name: str, content: bytes) -> None:
        path = self._path(name)
        with _room_errors():
            make_private_folder(path.parent)
            write_private(path, content)

    def get(self, name: str) -> bytes:
        with _room_errors():
            return self._path(name).read_bytes()

    def exists(self, name: str) -> bool:
        with _room_errors():
            return self._path(name).is_file()

    def probe(self) -> None:
        if not os.access(self._folder, os.R_OK | os.W_OK | os.X_OK):
            raise StorageUnavailable(f"{self._folder} can't be written")

    def names(self, under: str = "") -> list[str]:
        folder = self._path(under) if under else self._folder
        with _room_errors():
            files = [path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."]
        return sorted(path.relative_to(self._folder).as_posix() for path in files)

    def delete_every_copy(self, name: str, *, wipe: bool = False) -> tuple[Destroyed, ...]:
        return delete_file(self._path(name), wipe=wipe)

    def forget_older(self, name: str) -> tuple[Destroyed, ...]:
        path = self._path(name)
        with _room_errors():
            older = unfinished(path)
            for copy in older:
                copy.unlink(missing_ok=True)
            if older:
                sync_folder(path.parent)
        return tuple(_destroyed(copy) for copy in older)

    def delete_everything(self, under: str) -> tuple[Destroyed, ...]:
        folder = self._path(under)
        with _room_errors():
            if not folder.is_dir():
                return ()
            found = [path for path in sorted(folder.rglob("*")) if not path.is_dir()]
            shutil.rmtree(folder)
            sync_folder(folder.parent)
            if folder.exists():
                raise StorageUnavailable("a folder came back while it was being deleted; try again")
        return tuple(_destroyed(path) for path in found)

    def _path(self, name: str) -> Path:
        return self._folder / require_name(name)

    def __repr__(self) -> str:
        return f"FileObjects({self.url!r})"


def delete_file(path: Path, *, wipe: bool = False) -> tuple[Destroyed, ...]:
    """A file and what cut-short writes of it left behind. Idempotent."""
    with _room_errors():
        copies = _copies(path)
        for copy in copies:
            if wipe:
                _overwrite(copy)
            copy.unlink(missing_ok=True)
        if copies:
            sync_folder(path.parent)
        if _copies(path):
            raise StorageUnavailable("a file came back while it was being deleted; try again")
    return tuple(_destroyed(copy) for copy in copies)


def every_file(folder: Path) -> list[str]:
    """URIs of the files under a folder of anyone's, hidden ones too."""
    with _room_errors():
        return [path.as_uri() for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]


def _copies(path: Path) -> list[Path]:
    return [copy for copy in (path, *unfinished(path)) if os.path.lexists(copy)]


def _overwrite(path: Path) -> None:
    """Zeros in place, so that the blocks which the file gives back say nothing. A disk that writes elsewhere
    than it was told (an SSD, a copy-on-write file system) may still hold the old ones."""
    with path.open("r+b", buffering=0) as file:
        file.write(bytes(path.stat().st_size))
        os.fsync(file.fileno())


def _destroyed(path: Path) -> Destroyed:
    return Destroyed(path.as_uri(), "unfinished" if path.name[0] == "." else "file")


@contextmanager
def _room_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ObjectMissing("a stored object is missing") from None
    except OSError as exc:
        raise StorageUnavailable(
            f"the folder of stored objects can't be used ({exc.strerror or type(exc).__name__})"
        ) from None
