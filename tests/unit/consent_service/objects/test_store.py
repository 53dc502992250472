"""Stored objects, where a folder and a bucket differ: modes and leftovers of files, versions and failures of S3."""

from __future__ import annotations

import stat
import traceback
from pathlib import Path

import pytest

from consent_service.errors import StorageUnavailable
from consent_service.objects import open_store
from foundation.private_files import KeyFileUnsafe
from tests.assets.aws import SECRET, Aws


def test_every_version_and_deletion_marker_and_unfinished_upload_is_destroyed(aws: Aws) -> None:
    bucket = aws.bucket(versioned=True)
    store, s3 = open_store(f"s3://{bucket}/keys"), aws.client("s3")
    for number in range(3):
        store.put("acme/a.wrapped", b"%d" % number)
    s3.delete_object(Bucket=bucket, Key="keys/acme/a.wrapped")  # an ordinary deletion: only a marker
    assert not store.exists("acme/a.wrapped")
    assert store.names() == []
    s3.create_multipart_upload(Bucket=bucket, Key="keys/acme/a.wrapped")
    s3.create_multipart_upload(Bucket=bucket, Key="keys/acme/a.wrapped.other")
    destroyed = store.delete_every_copy("acme/a.wrapped")
    assert sorted(copy.kind for copy in destroyed) == ["delete-marker", "unfinished", *["version"] * 3]
    versions = {copy.version_id for copy in destroyed if copy.kind != "unfinished"}
    assert len(versions) == 4
    assert None not in versions
    assert aws.copies(bucket) == ["keys/acme/a.wrapped.other"]


def test_more_versions_and_uploads_than_one_page_are_destroyed(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = aws.bucket(versioned=True)
    store, s3 = open_store(f"s3://{bucket}"), aws.client("s3")
    for number in range(7):
        s3.put_object(Bucket=bucket, Key=f"a/key{number % 2}", Body=b"")
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")  # the server's pages
    assert s3.list_object_versions(Bucket=bucket)["IsTruncated"]
    assert store.names("a") == ["a/key0", "a/key1"]
    for number in range(7):
        s3.create_multipart_upload(Bucket=bucket, Key=f"a/key{number}")
    assert len(store.delete_everything("a")) == 7 + 7
    assert aws.copies(bucket) == []


def test_a_version_that_can_t_be_deleted_is_an_error_and_not_a_success(aws: Aws) -> None:
    bucket, s3 = aws.bucket(versioned=True), aws.client("s3")
    s3.put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 9}}
        },
    )  # fmt: skip
    store = open_store(f"s3://{bucket}")
    store.put("key", b"x")
    with pytest.raises(StorageUnavailable):
        store.delete_every_copy("key")


def test_a_store_that_is_away_or_refuses_says_so_without_a_secret(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = SECRET.encode()
    no_bucket = open_store("s3://no-such-bucket/x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens
    away = open_store("s3://bucket/x")
    for use in (
        lambda: no_bucket.put("a", content),
        lambda: no_bucket.delete_every_copy("a"),
        lambda: away.put("a", content),
        lambda: away.delete_everything("a"),
    ):
        with pytest.raises(StorageUnavailable) as refused:
            use()
        assert SECRET not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    "url", ["relative/folder", "gs://bucket/x", "s3://", "s3://key:secret@bucket/x", "http://x/y"]
)
def test_only_folders_and_buckets_are_storage(url: str) -> None:
    with pytest.raises(StorageUnavailable) as refused:
        open_store(url)
    assert "secret" not in str(refused.value)


def test_files_are_for_their_owner_alone_and_a_loose_folder_is_refused(tmp_path: Path) -> None:
    store = open_store((tmp_path / "objects").as_uri())
    store.put("acme/a/b", b"x")
    for path in [tmp_path / "objects", *(tmp_path / "objects").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    (tmp_path / "objects" / "acme").chmod(0o750)
    with pytest.raises(KeyFileUnsafe):
        store.put("acme/c", b"x")


def test_what_a_killed_write_left_behind_is_a_copy_too(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.put("acme/a.wrapped", b"whole")
    (tmp_path / "acme" / ".a.wrapped.k2j3.new").write_bytes(b"half")
    (tmp_path / "acme" / ".a.wrapped2.k2j3.new").write_bytes(b"another's")
    assert store.names() == ["acme/a.wrapped"]
    destroyed = store.delete_every_copy("acme/a.wrapped", wipe=True)
    assert [copy.kind for copy in destroyed] == ["file", "unfinished"]
    assert [path.name for path in (tmp_path / "acme").iterdir()] == [".a.wrapped2.k2j3.new"]


def test_a_wiped_file_leaves_zeros_where_another_name_still_finds_it(tmp_path: Path) -> None:
    store = open_store(tmp_path / "objects")
    store.put("key", b"wrapped key")
    (tmp_path / "another-name").hardlink_to(tmp_path / "objects" / "key")
    store.delete_every_copy("key", wipe=True)
    assert (tmp_path / "another-name").read_bytes() == bytes(len(b"wrapped key"))


def test_leftovers_of_cut_short_writes_are_forgotten_and_a_broken_folder_says_so(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.put("acme/a", b"whole")
    (tmp_path / "acme" / ".a.k2.new").write_bytes(b"half")
    (copy,) = store.forget_older("acme/a")
    assert copy.kind == "unfinished"
    assert store.get("acme/a") == b"whole"
    (tmp_path / "acme" / "b").mkdir()
    for use in (store.get, store.delete_every_copy):
        with pytest.raises(StorageUnavailable):
            use("acme/b")
    assert repr(store) == f"FileObjects({str(tmp_path)!r})"
