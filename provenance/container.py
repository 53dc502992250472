"""What C2PA's hash does not cover, checked byte by byte.

A C2PA hash leaves out the manifest itself and some of what is around it (`provenance.formats.shape`), and inside it
the claim's signature does not cover the padding of the signature box, some JUMBF labels and toggles (ISO 19566-5):
those bytes can be changed without c2pa noticing. A file of ours has exactly one shape, so anything else is altered.

What comes from a stranger is taken apart here before c2pa sees it (`manifest_store`).

`fault` walks the container, JUMBF and the tail of the COSE signature strictly and names the first thing that is not as
we write it. Pure functions over bytes; bounded by the file's size; never raises.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Final, TypeAlias

from provenance import cbor
from provenance.formats.shape import ShapeFault, manifest_in

_Box: TypeAlias = tuple[bytes, memoryview]  # type, content

_JUMB, _JUMD, _CBOR, _SALT, _BROTLI = b"jumb", b"jumd", b"cbor", b"c2sh", b"brob"
_TYPE_TAIL: Final = bytes.fromhex("00110010800000aa00389b71")
_LABELLED, _SALTED = 0x03, 0x13  # toggles: requestable + label (+ private salt box)
_MANIFEST_PARTS: Final = (
    (b"c2as", b"c2pa.assertions"),
    (b"c2cl", b"c2pa.claim.v2"),
    (b"c2cs", b"c2pa.signature"),
)
# COSE_Sign1's unsigned part: {"pad": 00…00[, "pad2": 00…00]}, no payload, 64 bytes of ES256.
_SIGNATURE_TAIL: Final = re.compile(
    rb"[\xa1\xa2]\x63pad(?:[\x40-\x57]|\x58.|\x59..)\x00*(?:\x64pad2(?:[\x40-\x57]|\x58.|\x59..)\x00*)?"
    rb"\xf6\x58\x40.{64}\Z",
    re.DOTALL,
)
_CERTIFICATE: Final = re.compile(rb"\x59(?=..\x30\x82..\x30\x82)", re.DOTALL)
_MANIFEST_START: Final = b"jumdc2pa" + _TYPE_TAIL
_STORE_HEAD: Final = 12  # size and type of the store's box, size of its description box
_STORE_MAX: Final = 2 << 20
_CERTIFICATES_WITHIN: Final = 1 << 20
_MOST_CERTIFICATES: Final = 130  # two of a file's own, and of each of the clips that it was made from
_MAX_DEPTH: Final = 16


def fault(data: bytes, sidecar: bytes | None = None) -> str | None:
    """Code of the first thing that is not as our stamper writes it; None when all is.

    sidecar: a detached manifest; the file itself is covered whole by its hash then.
    """
    try:
        store = manifest_in(data) if sidecar is None else memoryview(sidecar)
        if sidecar is None and bytes(store) != manifest_store(data):
            return "container.two_manifests"  # what was checked must be what c2pa is given
        _check_manifest(store)
    except ShapeFault as found:
        return str(found)
    except (struct.error, IndexError, ValueError):
        return "container.truncated"
    return None


def has_manifest(data: bytes) -> bool:
    """Whether something that starts like a C2PA manifest store is in the file, readable or not."""
    return _MANIFEST_START in data


def manifest_store(data: bytes) -> bytes | None:
    """The first manifest store in the file, wherever it lies; None where there is none that may be parsed.

    Taken out here, so that what is checked and what c2pa parses are the same bytes.
    """
    start = data.find(_MANIFEST_START) - _STORE_HEAD
    if start < 0:
        return None
    (size,) = struct.unpack_from(">I", data, start)
    store = data[start : start + size]
    if len(store) != size or size > _STORE_MAX:
        return None
    try:
        _check_sound(memoryview(store), 0)
    except (ShapeFault, struct.error, IndexError, ValueError):
        return None
    return store


def certificates(data: bytes) -> Iterator[bytes]:
    """DER certificates inside the manifest store, not too many; nothing about them is checked."""
    start = data.find(_MANIFEST_START)
    if start < 0:
        return
    store = data[start : start + _CERTIFICATES_WITHIN]
    for _, match in zip(range(_MOST_CERTIFICATES), _CERTIFICATE.finditer(store), strict=False):
        at = match.end()
        (size,) = struct.unpack_from(">H", store, at)
        yield store[at + 2 : at + 2 + size]


def _check_sound(content: memoryview, depth: int) -> None:
    """Boxes that tile, and CBOR whose lengths lie inside it: nothing a parser could choke on."""
    if depth > _MAX_DEPTH:
        raise ShapeFault("jumbf.depth")
    for kind, body in _boxes(content, "jumbf.box"):
        if kind == _BROTLI:
            raise ShapeFault("jumbf.compressed")  # what it unpacks to cannot be bounded here
        if kind == _JUMB:
            _check_sound(body, depth + 1)
        if kind == _CBOR:
            item = bytes(body)
            if not cbor.is_sound(item):
                raise ShapeFault("cbor.length")
            # A COSE signature's protected header is CBOR inside a byte string.
            inner = cbor.first_of_array(item)
            if inner and not cbor.is_sound(inner):
                raise ShapeFault("cbor.length")


def _check_manifest(chunk: memoryview) -> None:
    (store,) = _superboxes(chunk, "jumbf.store")
    # The manifest itself comes last; before it lie those of the clips that the file was made from.
    manifests = _described(store, b"c2pa", b"c2pa", "jumbf.store")
    if not manifests:
        raise ShapeFault("jumbf.store")
    for manifest in manifests:
        _check_claim(manifest)


def _check_claim(manifest: memoryview) -> None:
    parts = _described(manifest, b"c2ma", None, "jumbf.manifest")
    if len(parts) != len(_MANIFEST_PARTS):
        raise ShapeFault("jumbf.manifest")
    for part, (kind, label) in zip(parts, _MANIFEST_PARTS, strict=True):
        where = label.decode("ascii")
        if kind == b"c2as":
            for one in _described(part, kind, label, where):
                _leaf(one, None, where)
        else:
            content = _leaf(part, (kind, label), where)
            if kind == b"c2cs" and not _SIGNATURE_TAIL.search(content):
                raise ShapeFault("cose.padding")


def _described(box: memoryview, kind: bytes, label: bytes | None, where: str) -> list[memoryview]:
    """The superboxes inside one superbox, after its description box."""
    description, *rest = _boxes(box, where)
    _check_description(description, kind, label, where)
    if any(name != _JUMB for name, _ in rest):
        raise ShapeFault(where)
    return [content for _, content in rest]


def _leaf(box: memoryview, expected: tuple[bytes, bytes] | None, where: str) -> bytes:
    """The one CBOR box inside a superbox."""
    boxes = list(_boxes(box, where))
    if len(boxes) != 2 or boxes[1][0] != _CBOR:
        raise ShapeFault(where)
    kind, label = expected or (_CBOR, None)
    _check_description(boxes[0], kind, label, where)
    return bytes(boxes[1][1])


def _check_description(box: _Box, kind: bytes, label: bytes | None, where: str) -> None:
    name, content = box
    if name != _JUMD or bytes(content[:16]) != kind + _TYPE_TAIL:
        raise ShapeFault(where)
    text, end, private = bytes(content[17:]).partition(b"\x00")
    if not end or (label is not None and text != label):
        raise ShapeFault(where)
    toggles = content[16]
    if toggles == _SALTED:
        ((salt, _),) = _boxes(memoryview(private), where)
        if salt != _SALT:
            raise ShapeFault(where)
    elif toggles != _LABELLED or private:
        raise ShapeFault(where)


def _superboxes(content: memoryview, where: str) -> list[memoryview]:
    found = list(_boxes(content, where))
    if any(name != _JUMB for name, _ in found):
        raise ShapeFault(where)
    return [inner for _, inner in found]


def _boxes(content: memoryview, where: str) -> Iterator[_Box]:
    """Boxes that tile `content` exactly: 32-bit size, type, body (ISO 19566-5, no extended sizes)."""
    at = 0
    while at < len(content):
        (size,) = struct.unpack_from(">I", content, at)
        if size < 8 or at + size > len(content):
            raise ShapeFault(where)
        yield bytes(content[at + 4 : at + 8]), content[at + 8 : at + size]
        at += size
