"""The output folder, wherever it lies: a local path or any URI that fsspec can open (s3://…).

A file is there whole or not at all: locally by writing beside it, fsync and rename; in an object store
because a put is atomic.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from foundation.private_files import replacing


class Folder:
    """A folder at a URI. Picklable: only the URI travels."""

    def __init__(self, uri: str) -> None:
        self.fs, path = fsspec.core.url_to_fs(uri)
        self.root: str = path.rstrip("/")
        # Rows of two runs must name the same clip alike: keep what the caller said absolute, with its scheme.
        self.uri: str = self.root if self.is_local else self.fs.unstrip_protocol(self.root)

    def __reduce__(self) -> tuple[type[Folder], tuple[str]]:
        return (Folder, (self.uri,))

    @property
    def is_local(self) -> bool:
        return isinstance(self.fs, LocalFileSystem)

    def path(self, name: str) -> str:
        return posixpath.join(self.root, name)

    def uri_of(self, name: str) -> str:
        return posixpath.join(self.uri, name)

    def name_of(self, uri: str) -> str | None:
        """The name under this folder of something `uri_of` gave out; None for anything else."""
        inside = uri.startswith(self.uri + "/") and ".." not in uri.split("/")
        return uri[len(self.uri) + 1 :] if inside else None

    def exists(self, name: str) -> bool:
        return bool(self.fs.exists(self.path(name)))

    def delete(self, name: str) -> None:
        """Gone afterwards, whether or not it was there."""
        try:
            self.fs.rm(self.path(name), recursive=True)
        except FileNotFoundError:
            return

    def files(self, under: str, suffix: str) -> Iterator[str]:
        """Names of the files under a subfolder ("" for all), sorted, temporary ones left out."""
        self.fs.invalidate_cache()
        base = self.path(under) if under else self.root
        for found in sorted(self.fs.find(base)):
            name = posixpath.relpath(found, self.root)
            if name.endswith(suffix) and not posixpath.basename(name).startswith("."):
                yield name

    def write(self, name: str, data: bytes) -> None:
        """Put a file in place atomically."""
        target = self.path(name)
        if not self.is_local:
            self.fs.pipe_file(target, data)
            return
        final = Path(target)
        final.parent.mkdir(parents=True, exist_ok=True)
        with replacing(final) as unfinished_copy:
            unfinished_copy.write_bytes(data)

    def read(self, name: str) -> bytes:
        data: bytes = self.fs.cat_file(self.path(name))
        return data

    def write_table(self, name: str, table: Any) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        self.write(name, sink.getvalue().to_pybytes())

    def read_table(self, name: str) -> Any:
        """Raises OSError or pyarrow.ArrowInvalid for a file that is not whole."""
        return pq.read_table(pa.BufferReader(self.read(name)))
