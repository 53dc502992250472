"""Stored clips: encrypted, whole or not at all, each in its own place."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from serve_app.clips.store import ClipHeader, ClipStore, StoredClip
from serve_app.errors import RequestRefused

AUDIO = b"RIFF" + bytes(range(256)) * 64
KEY = bytes(range(32))
PLACE = hashlib.sha256(b"a request").hexdigest()


def header(**changes: str) -> ClipHeader:
    usual = ClipHeader(
        clip_id="clip-1", tenant="acme", cache_key=PLACE, media_type="audio/wav", seconds=1.0,
        audio_sha256=hashlib.sha256(AUDIO).hexdigest(), wrapped_key=base64.b64encode(b"wrapped").decode(),
    )  # fmt: skip
    return replace(usual, **changes)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return ClipStore(str(tmp_path / "clips"))


def put(store: ClipStore, head: ClipHeader | None = None, key: bytes = KEY) -> str:
    staged = store.stage(head or header(), AUDIO, key)
    store.publish(staged)
    return staged.uri


def found(store: ClipStore, tenant: str = "acme", key: str = PLACE) -> StoredClip:
    clip = store.find(tenant, key)
    assert clip is not None
    return clip


def at(store: ClipStore, uri: str, head: ClipHeader | None = None) -> StoredClip | None:
    named = head or header()
    return store.at(uri, named.clip_id, named.audio_sha256)


def refused(store: ClipStore, key: bytes = KEY) -> None:
    with pytest.raises(RequestRefused) as error:
        found(store).open(key)
    assert error.value.code == "vault_error"
    assert b"RIFF" not in str(error.value).encode()


def file_of(tmp_path: Path) -> Path:
    (path,) = tmp_path.rglob("*.clip")
    return path


def test_what_was_stored_comes_back_by_key_and_by_uri(store: ClipStore) -> None:
    uri = put(store)
    by_uri = at(store, uri)
    assert by_uri is not None
    assert found(store).open(KEY).audio == by_uri.open(KEY).audio == AUDIO


def test_a_detached_manifest_is_kept_with_its_clip(store: ClipStore) -> None:
    staged = store.stage(replace(header(), manifest_bytes=8), AUDIO, KEY, b"manifest")
    store.publish(staged)
    opened = found(store).open(KEY)
    assert (opened.audio, opened.manifest) == (AUDIO, b"manifest")


def test_a_staged_clip_is_not_found_and_a_discarded_one_leaves_nothing(
    store: ClipStore, tmp_path: Path
) -> None:
    staged = store.stage(header(), AUDIO, KEY)
    assert store.find("acme", PLACE) is None
    assert at(store, staged.uri) is None
    store.discard(staged)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_nothing_is_in_the_clear(store: ClipStore, tmp_path: Path) -> None:
    put(store)
    assert AUDIO[:32] not in file_of(tmp_path).read_bytes()


def test_another_key_does_not_open_it(store: ClipStore) -> None:
    put(store)
    refused(store, secrets.token_bytes(32))


@pytest.mark.parametrize("cut", [0, 1, 5, 12, 20, 100, -1])
def test_a_truncated_file_is_refused(store: ClipStore, tmp_path: Path, cut: int) -> None:
    put(store)
    path = file_of(tmp_path)
    head, _, sealed = path.read_bytes().partition(b"\n")
    path.write_bytes(head + b"\n" + sealed[:cut])
    refused(store)


@pytest.mark.parametrize("raw", [b"", b"\n", b"{}\n", b"null\n", b"[]\n", b"\xff\xfe\n", b"{", b"5\nabc"])
def test_a_file_that_is_no_clip_is_refused(store: ClipStore, tmp_path: Path, raw: bytes) -> None:
    put(store)
    file_of(tmp_path).write_bytes(raw)
    refused(store)


def test_every_part_of_a_file_is_covered(store: ClipStore, tmp_path: Path) -> None:
    put(store)
    path = file_of(tmp_path)
    whole = path.read_bytes()
    head = whole.index(b"\n")
    for place in (*range(head + 1, head + 40), len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        refused(store)
    path.write_bytes(whole.replace(b'"seconds":1.0', b'"seconds":9.0'))
    refused(store)


def test_a_header_over_another_body_is_refused(store: ClipStore, tmp_path: Path) -> None:
    put(store)
    path = file_of(tmp_path)
    head = path.read_bytes().partition(b"\n")[0]
    put(store, header(clip_id="clip-2"))
    path.write_bytes(head + b"\n" + path.read_bytes().partition(b"\n")[2])
    refused(store)


@pytest.mark.parametrize(
    "changes", [{"tenant": "other"}, {"cache_key": hashlib.sha256(b"another").hexdigest()}]
)
def test_a_clip_in_anothers_place_is_refused(
    store: ClipStore, tmp_path: Path, changes: dict[str, str]
) -> None:
    uri = put(store, header(**changes))
    source = Path(uri.removeprefix("file://"))
    target = tmp_path / "clips" / "acme" / PLACE[:2] / f"{PLACE}.clip"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
    refused(store)


@pytest.mark.parametrize(
    "place", ["/etc/passwd", "file:///etc/passwd", "{root}/../secret", "{root}-too/secret", ""]
)
def test_nothing_outside_the_store_is_read(tmp_path: Path, place: str) -> None:
    root = tmp_path / "clips"
    root.mkdir()
    for outside in (tmp_path / "secret", tmp_path / "clips-too" / "secret"):
        outside.parent.mkdir(exist_ok=True)
        outside.write_bytes(header().encode() + b"\n" + bytes(64))
    assert at(ClipStore(str(root)), place.format(root=root)) is None


def test_a_header_shows_no_key(store: ClipStore) -> None:
    assert "wrapped" not in repr(header())
    put(store)
    assert "sealed" not in repr(found(store))


def test_it_works_on_any_filesystem() -> None:
    store = ClipStore("memory://clips-of-a-test")
    uri = put(store)
    assert uri.startswith("memory://")
    by_uri = at(store, uri)
    assert by_uri is not None
    assert by_uri.open(KEY).audio == AUDIO


def test_of_a_clip_that_is_not_asked_for_the_header_alone_is_read(
    store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, read = put(store), []
    cat_file = store._fs.cat_file

    def seen(path: str, **part: int | None) -> bytes:
        raw: bytes = cat_file(path, **part)
        read.append(len(raw))
        return raw

    monkeypatch.setattr(store._fs, "cat_file", seen)
    for other in (header(clip_id="clip-2"), header(audio_sha256=hashlib.sha256(b"another form").hexdigest())):
        assert at(store, uri, other) is None
    assert len(AUDIO) > max(read)
    assert at(store, uri) is not None
