"""What every `ObjectStore` promises: there or not, whole, and gone for good when it is deleted. The implementations: a
folder, and a bucket of S3 with and without versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from consent_service.errors import ObjectMissing, StorageUnavailable
from consent_service.objects import ObjectStore, delete_every_copy, open_store
from tests.assets.aws import Aws


@pytest.fixture(
    params=["files", *(pytest.param(name, marks=pytest.mark.aws) for name in ("s3", "s3-versioned"))]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "files":
        return open_store(tmp_path / "objects")
    aws: Aws = request.getfixturevalue("aws")
    return open_store(f"s3://{aws.bucket(versioned=request.param == 's3-versioned')}/some/prefix")


def test_what_is_put_is_there_and_only_there(store: ObjectStore) -> None:
    assert store.names() == []
    store.put("acme/voice_a/reference.sealed", b"one")
    store.put("acme/voice_a/reference.sealed", b"two")
    store.put("acme/voice_ab/reference.sealed", b"three")
    assert store.get("acme/voice_a/reference.sealed") == b"two"
    assert store.exists("acme/voice_a/reference.sealed")
    assert not store.exists("acme/voice_a/reference")
    assert store.names() == ["acme/voice_a/reference.sealed", "acme/voice_ab/reference.sealed"]
    assert store.names("acme/voice_a") == ["acme/voice_a/reference.sealed"]
    assert store.names("nobody") == []
    assert open_store(store.url).get("acme/voice_a/reference.sealed") == b"two"


def test_what_is_missing_is_said_to_be_missing(store: ObjectStore) -> None:
    with pytest.raises(ObjectMissing):
        store.get("acme/nothing")
    assert store.delete_every_copy("acme/nothing") == ()
    assert store.delete_everything("acme") == ()


def test_a_deleted_object_is_gone_in_every_version_and_its_neighbours_stay(store: ObjectStore) -> None:
    for content in (b"one", b"two", b"three"):
        store.put("acme/a.wrapped", content)
    store.put("acme/a.wrapped.txt", b"neighbour")
    destroyed = store.delete_every_copy("acme/a.wrapped", wipe=True)
    assert {copy.uri for copy in destroyed} == {store.uri("acme/a.wrapped")}
    assert store.names() == ["acme/a.wrapped.txt"]
    assert store.delete_every_copy("acme/a.wrapped") == ()
    with pytest.raises(ObjectMissing):
        store.get("acme/a.wrapped")


def test_a_folder_is_deleted_with_all_it_holds_and_nothing_beside_it(store: ObjectStore) -> None:
    for name in ("acme/a/one", "acme/a/deep/two", "acme/ab/three"):
        store.put(name, b"x")
    destroyed = store.delete_everything("acme/a")
    assert {copy.uri for copy in destroyed} == {store.uri("acme/a/one"), store.uri("acme/a/deep/two")}
    assert store.names() == ["acme/ab/three"]


def test_an_object_is_deleted_by_its_uri_alone(store: ObjectStore) -> None:
    store.put("acme/clip.wav", b"x")
    (copy,) = delete_every_copy(store.uri("acme/clip.wav"))
    assert copy.uri == store.uri("acme/clip.wav")
    assert delete_every_copy(store.uri("acme/clip.wav")) == ()


def test_older_versions_go_and_what_is_there_stays(store: ObjectStore) -> None:
    for content in (b"one", b"two", b"three"):
        store.put("acme/a.wrapped", content)
    store.forget_older("acme/a.wrapped")
    assert store.get("acme/a.wrapped") == b"three"
    assert store.forget_older("acme/a.wrapped") == ()
    assert len(store.delete_every_copy("acme/a.wrapped")) == 1


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../up", "a/../b", "a//b", ".hidden", "a/.b", "a\0b", "a/"]
)
def test_a_name_can_t_lead_out_of_its_place(store: ObjectStore, name: str) -> None:
    for use in (store.get, store.exists, store.delete_every_copy, store.delete_everything):
        with pytest.raises(StorageUnavailable):
            use(name)
    with pytest.raises(StorageUnavailable):
        store.put(name, b"x")
