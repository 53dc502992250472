"""Small objects at a URL: a folder of this machine, or `s3://bucket/prefix`. Whole or not there; deleted for good.

Sealed recordings, wrapped data keys and sealed key rings lie in such a place. Deletion is the hard part: a
versioned bucket keeps every version, and a write that was cut short leaves parts. `delete_every_copy` deletes each of
them, lists again, and raises while anything is left: `files` here, `s3` in a bucket (versions, deletion markers,
uploads). What an object store copies elsewhere (replication, backups) is out of its reach. Credentials come from where
botocore looks for them, never from a URL; no error carries any.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from consent_service.errors import StorageUnavailable
from consent_service.objects.files import FileObjects, delete_file, every_file
from consent_service.objects.store import Destroyed, ObjectStore

__all__ = ["Destroyed", "ObjectStore", "delete_every_copy", "everything_under", "open_store"]


def open_store(url: str | Path) -> ObjectStore:
    """The place at `url`: an absolute path, `file:///…` or `s3://bucket/prefix`. A folder is made when it is
    missing; a bucket never is. Raises StorageUnavailable, or KeyFileUnsafe for a folder that others can read."""
    path = _local(url)
    if path is not None:
        return FileObjects(path)
    from consent_service.objects.s3 import S3Objects  # a second to import: only those who need it pay

    return S3Objects(str(url))


def delete_every_copy(uri: str) -> tuple[Destroyed, ...]:
    """Delete one object wherever it lies: each version, each deletion marker, each unfinished upload; then look
    again. Returns what was destroyed, nothing when there was nothing. Idempotent. Raises StorageUnavailable,
    also when something is left."""
    path = _local(uri)
    if path is not None:
        return delete_file(path)
    from consent_service.objects.s3 import S3Objects

    parent, _, name = uri.rpartition("/")
    return S3Objects(parent).delete_every_copy(name)


def everything_under(url: str) -> list[str]:
    """URIs of all that lies under a place, for `delete_every_copy`: hidden and unfinished files, deleted versions and
    uploads that never ended included; nothing where there is no such folder. Raises StorageUnavailable."""
    path = _local(url)
    if path is not None:
        return every_file(path)
    from consent_service.objects.s3 import S3Objects

    return S3Objects(str(url)).every_uri()


def _local(url: str | Path) -> Path | None:
    """None for S3. Other stores are refused: nobody here knows how they keep deleted versions."""
    if isinstance(url, Path):
        return url
    parts = urlsplit(url)
    if parts.scheme == "s3":
        return None
    path = Path(unquote(parts.path) if parts.scheme == "file" else url)
    if parts.scheme not in ("", "file") or parts.netloc or not path.is_absolute():
        raise StorageUnavailable("storage is an absolute path, file:///… or s3://bucket/prefix")
    return path
