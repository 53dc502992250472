"""Objects in S3, or in what speaks its protocol, through botocore: buckets with and without versioning.

Endpoint, region and credentials come from the environment or the instance's role, as for every other S3 path of
the product. Calls are bounded in time; what they raise is turned into the room's errors, which name the
service's error code and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from consent_service.errors import ObjectMissing, StorageUnavailable
from consent_service.objects.aws_logs import keep_bodies_out
from consent_service.objects.store import Destroyed, require_name

_BOUNDS: Final = Config(
    connect_timeout=3, read_timeout=15, retries={"mode": "standard", "total_max_attempts": 3}
)
_BATCH: Final = 1000  # most keys of one DeleteObjects
_MISSING: Final = frozenset({"404", "NoSuchKey"})  # the answer to a HEAD has no body that could name the code


class S3Objects:
    """An `ObjectStore` under a prefix of a bucket."""

    def __init__(self, url: str) -> None:
        bucket, _, prefix = url.removeprefix("s3://").strip("/").partition("/")
        if not url.startswith("s3://") or not bucket or "@" in bucket:
            raise StorageUnavailable("storage in S3 is named s3://bucket/prefix, without credentials")
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        keep_bodies_out()
        with _room_errors():
            self._s3: Any = Session().create_client("s3", config=_BOUNDS)

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    @property
    def base_uri(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}"

    def uri(self, name: str) -> str:
        return f"s3://{self._bucket}/{self._key(name)}"

    def put(self, name: str, content: bytes) -> None:
        with _room_errors():
            self._s3.put_object(Bucket=self._bucket, Key=self._key(name), Body=content)

    def get(self, name: str) -> bytes:
        with _room_errors():
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._key(name))
            return bytes(answer["Body"].read())

    def exists(self, name: str) -> bool:
        try:
            with _room_errors():
                self._s3.head_object(Bucket=self._bucket, Key=self._key(name))
        except ObjectMissing:
            return False
        return True

    def probe(self) -> None:
        next(self._pages("list_objects_v2", self._prefix))

    def names(self, under: str = "") -> list[str]:
        pages = self._pages("list_objects_v2", self._folder(under))
        names = [str(entry["Key"]) for page in pages for entry in page.get("Contents", ())]
        return sorted(name.removeprefix(self._prefix) for name in names)

    def delete_every_copy(self, name: str, *, wipe: bool = False) -> tuple[Destroyed, ...]:
        """Nothing can be overwritten in S3, so `wipe` adds nothing."""
        key = self._key(name)
        return self._delete(key, exactly=key)

    def forget_older(self, name: str) -> tuple[Destroyed, ...]:
        key = self._key(name)
        older = [copy for copy, latest in self._versions(key, key) if not latest]
        self._delete_batches(older)
        return tuple(older)

    def delete_everything(self, under: str) -> tuple[Destroyed, ...]:
        return self._delete(self._folder(require_name(under)))

    def every_uri(self) -> list[str]:
        """Of whatever has a version, a deletion marker or an unfinished upload here."""
        uploads = {f"s3://{self._bucket}/{key}" for key, _ in self._uploads(self._prefix, None)}
        return sorted({copy.uri for copy in self._copies(self._prefix, None)} | uploads)

    def _delete(self, prefix: str, exactly: str | None = None) -> tuple[Destroyed, ...]:
        """Everything with a prefix, or of one key alone (which may be the beginning of others)."""
        destroyed: list[Destroyed] = []
        for key, upload in self._uploads(prefix, exactly):
            with _room_errors():
                self._s3.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
            destroyed.append(Destroyed(f"s3://{self._bucket}/{key}", "unfinished"))
        copies = self._copies(prefix, exactly)
        self._delete_batches(copies)
        if self._copies(prefix, exactly) or self._uploads(prefix, exactly):
            raise StorageUnavailable(
                "S3 still holds copies of what was to be deleted; look for an object lock, then try again"
            )
        return (*destroyed, *copies)

    def _delete_batches(self, copies: list[Destroyed]) -> None:
        root = f"s3://{self._bucket}/"
        named = [{"Key": copy.uri.removeprefix(root), "VersionId": copy.version_id} for copy in copies]
        for first in range(0, len(named), _BATCH):
            self._delete_batch(named[first : first + _BATCH])

    def _delete_batch(self, named: list[dict[str, str | None]]) -> None:
        with _room_errors():
            # A key that S3 refuses to delete is named in the answer; the second look finds it, too.
            self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": named, "Quiet": True})

    def _copies(self, prefix: str, exactly: str | None) -> list[Destroyed]:
        return [copy for copy, _ in self._versions(prefix, exactly)]

    def _versions(self, prefix: str, exactly: str | None) -> list[tuple[Destroyed, bool]]:
        """Versions and deletion markers, and which are the latest; an unversioned object is the version "null"."""
        found: list[tuple[Destroyed, bool]] = []
        for page in self._pages("list_object_versions", prefix):
            for kind, entries in (("version", "Versions"), ("delete-marker", "DeleteMarkers")):
                found += [
                    (
                        Destroyed(f"s3://{self._bucket}/{entry['Key']}", kind, str(entry["VersionId"])),  # type: ignore[arg-type]
                        bool(entry.get("IsLatest")),
                    )
                    for entry in page.get(entries, ())
                    if exactly in (None, entry["Key"])
                ]
        return found

    def _uploads(self, prefix: str, exactly: str | None) -> list[tuple[str, str]]:
        """Multipart uploads that never ended: their parts are stored, and no listing shows them."""
        uploads = [
            (str(entry["Key"]), str(entry["UploadId"]))
            for page in self._pages("list_multipart_uploads", prefix)
            for entry in page.get("Uploads", ())
        ]
        return [(key, upload) for key, upload in uploads if key.startswith(prefix) and exactly in (None, key)]

    def _pages(self, operation: str, prefix: str) -> Iterator[dict[str, Any]]:
        with _room_errors():
            yield from self._s3.get_paginator(operation).paginate(Bucket=self._bucket, Prefix=prefix)

    def _key(self, name: str) -> str:
        return self._prefix + require_name(name)

    def _folder(self, under: str) -> str:
        return f"{self._key(under)}/" if under else self._prefix

    def __repr__(self) -> str:
        return f"S3Objects({self.url!r})"


@contextmanager
def _room_errors() -> Iterator[None]:
    """S3's error code, never its message: that may repeat what it was sent."""
    try:
        yield
    except ClientError as exc:
        code = str(exc.response.get("Error", {}).get("Code", "unknown"))
        if code in _MISSING:
            raise ObjectMissing("a stored object is missing") from None
        if code == "NoSuchBucket":
            raise StorageUnavailable("there is no such bucket; make it, or correct the URL") from None
        raise StorageUnavailable(f"S3 refuses ({code})") from None
    except (BotoCoreError, OSError) as exc:
        raise StorageUnavailable(f"S3 can't be reached ({type(exc).__name__})") from None
