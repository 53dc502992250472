"""Stamped clips at rest: encrypted, one file each, found by cache key or by clip id.

Only stamped clips come here (DESIGN I4). A file is a JSON header line (ids, digests, the wrapped data key) and then
AES-256-GCM ciphertext; the header is the associated data, so neither half can be swapped, and it names the tenant and
the cache key, so a file in another's place is refused. Storage is any fsspec URL. Without the gate, which alone can
unwrap the key, a file says nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import fsspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consent_service.objects import delete_every_copy
from serve_app.errors import RequestRefused

_NONCE: Final = 12
_LONGEST_HEADER: Final = 8_192


@dataclass(frozen=True, slots=True)
class ClipHeader:
    """What may be read of a stored clip without its key."""

    clip_id: str
    tenant: str
    cache_key: str
    media_type: str
    seconds: float
    audio_sha256: str
    wrapped_key: str = field(repr=False)  # base64
    manifest_bytes: int = 0  # of the detached manifest that follows the file; 0: the file carries its own

    def encode(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @property
    def wrapped(self) -> bytes:
        return base64.b64decode(self.wrapped_key)


@dataclass(frozen=True, slots=True)
class Opened:
    """A stamped file, and its manifest where that is not inside."""

    audio: bytes = field(repr=False)
    manifest: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredClip:
    """A header and its ciphertext, as read."""

    header: ClipHeader
    sealed: bytes = field(repr=False)

    def open(self, data_key: bytes) -> Opened:
        """The stamped file and its manifest. Raises RequestRefused vault_error when anything was changed."""
        try:
            inside = AESGCM(data_key).decrypt(
                self.sealed[:_NONCE], self.sealed[_NONCE:], self.header.encode()
            )
        except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce and a tag
            raise RequestRefused("vault_error", "a stored clip does not open; it was altered") from None
        ends = len(inside) - self.header.manifest_bytes
        audio, manifest = inside[:ends], inside[ends:] or None
        if hashlib.sha256(audio).hexdigest() != self.header.audio_sha256:
            raise RequestRefused("vault_error", "a stored clip is not the one its header names")
        return Opened(audio, manifest)


@dataclass(frozen=True, slots=True)
class StagedClip:
    """A stored clip that nobody finds yet. `uri` is where it will be found."""

    partial: str
    path: str
    uri: str


class ClipStore:
    """`root` is an fsspec URL; tenants have folders of their own."""

    def __init__(self, root: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(root)

    def stage(
        self, header: ClipHeader, audio: bytes, data_key: bytes, manifest: bytes | None = None
    ) -> StagedClip:
        """Encrypt and store where no reader looks, until `publish`. manifest: `header.manifest_bytes` of it."""
        head = header.encode()
        nonce = secrets.token_bytes(_NONCE)
        body = head + b"\n" + nonce + AESGCM(data_key).encrypt(nonce, audio + (manifest or b""), head)
        path = self._path(header.tenant, header.cache_key)
        self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        # Deletion knows what is left behind by the clip's name; and no two who make the same clip write one file.
        partial = f"{path}.{header.clip_id}.{secrets.token_hex(8)}.part"
        self._fs.pipe_file(partial, body)
        return StagedClip(partial, path, str(self._fs.unstrip_protocol(path)))

    def publish(self, staged: StagedClip) -> None:
        """Appears whole or not at all."""
        self._fs.mv(staged.partial, staged.path)

    def discard(self, staged: StagedClip) -> None:
        self._fs.rm_file(staged.partial)

    def take_back(self, staged: StagedClip) -> None:
        """Every copy of a published clip is gone when it returns, with each version where the store keeps versions."""
        delete_every_copy(staged.uri)

    def find(self, tenant: str, cache_key: str) -> StoredClip | None:
        """Raises RequestRefused vault_error for a file that cannot be read, or that belongs elsewhere."""
        found = self._read(self._path(tenant, cache_key))
        if found is not None and (found.header.tenant, found.header.cache_key) != (tenant, cache_key):
            raise RequestRefused("vault_error", "a stored clip is not the one that belongs in its place")
        return found

    def at(self, uri: str, clip_id: str, audio_sha256: str) -> StoredClip | None:
        """By the URI that `stage` gave: the copy of this clip with these bytes. None for another's, of which the header
        alone is read, and for anything outside this store."""
        path = str(self._fs._strip_protocol(uri))
        inside = path.startswith(self._root.rstrip("/") + "/") and ".." not in path.split("/")
        for size in (_LONGEST_HEADER, None):  # the second time because the file may be another by then
            found = self._read(path, size) if inside else None
            if found is None or (found.header.clip_id, found.header.audio_sha256) != (clip_id, audio_sha256):
                return None
        return found

    def _path(self, tenant: str, cache_key: str) -> str:
        return f"{self._root.rstrip('/')}/{tenant}/{cache_key[:2]}/{cache_key}.clip"

    def _read(self, path: str, size: int | None = None) -> StoredClip | None:
        try:
            raw: bytes = self._fs.cat_file(path, end=size)
        except FileNotFoundError:
            return None
        head, _, sealed = raw.partition(b"\n")
        try:
            fields: dict[str, Any] = json.loads(head)
            return StoredClip(ClipHeader(**fields), sealed)
        except (ValueError, TypeError):
            raise RequestRefused("vault_error", "a stored clip cannot be read") from None
