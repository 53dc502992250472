"""Where the manifest lies in a file of ours, found by walking the container strictly.

RIFF chunks (WAV), ID3v2.4 frames (MP3, and before FLAC), ISO 14496-12 boxes (M4A). C2PA's hash leaves out more than
the manifest: of a WAV its chunk's header, of an M4A every `ftyp`, `free`, `skip`, `mfra` and `uuid` box. What may
stand there is therefore spelled out here byte by byte; anything else is not as we write it.
"""

from __future__ import annotations

import re
import struct
from typing import Final

_ID3: Final = struct.Struct(">3sBBB4s")
_FRAME: Final = struct.Struct(">4s4sH")
_GEOB: Final = b"\x03application/c2pa\x00c2pa\x00c2pa manifest store\x00"
_FTYP: Final = b"M4A \x00\x00\x02\x00M4A isomiso2"
# C2PA 2.x §A.5: the box's UUID, version and flags, its purpose, and no Merkle tree.
_C2PA_UUID: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + bytes(4) + b"manifest\x00" + bytes(8)
_RIFF_ORDER: Final = re.compile(rb"fmt (fact)?data(AIGC)?C2PA")
_M4A_ORDER: Final = [b"ftyp", b"uuid", b"free", b"mdat", b"moov"]
_BOX_HEAD: Final = 8


class ShapeFault(Exception):
    """Not as we write it; the text is the code of the first thing that is not."""


def manifest_in(data: bytes) -> memoryview:
    """The C2PA manifest store of a file of ours. Raises ShapeFault, or struct.error where the file is cut."""
    if data[:4] == b"RIFF":
        return _in_riff(data)
    if data[:3] == b"ID3":
        return _in_id3(data)
    if data[4:8] == b"ftyp":
        return _in_m4a(data)
    raise ShapeFault("container.unknown")


def _in_riff(data: bytes) -> memoryview:
    view = memoryview(data)
    if data[8:12] != b"WAVE":
        raise ShapeFault("riff.header")
    if struct.unpack_from("<I", data, 4)[0] + 8 != len(data):
        raise ShapeFault("riff.size")
    found: list[tuple[bytes, memoryview]] = []
    at = 12
    while at < len(data):
        kind, (size,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        end = at + 8 + size
        padded = end + size % 2
        if padded > len(data) or any(view[end:padded]):
            raise ShapeFault("riff.chunk")
        found.append((kind, view[at + 8 : end]))
        at = padded
    # One manifest, after the sound: a second one could show another reader another claim.
    if not _RIFF_ORDER.fullmatch(b"".join(kind for kind, _ in found)):
        raise ShapeFault("riff.chunks")
    return found[-1][1]


def _in_id3(data: bytes) -> memoryview:
    """The tag holds the label, if any, and then the manifest, and nothing else; the sound follows it."""
    _, major, revision, flags, size = _ID3.unpack_from(data)
    if (major, revision, flags) != (4, 0, 0):
        raise ShapeFault("id3.header")
    end = _ID3.size + _syncsafe(size)
    at, kinds, body = _ID3.size, b"", memoryview(b"")
    while at < end:
        kind, size, frame_flags = _FRAME.unpack_from(data, at)
        at += _FRAME.size
        body = memoryview(data)[at : at + _syncsafe(size)]
        at += len(body)
        kinds += kind
        if frame_flags:
            raise ShapeFault("id3.frame")
    # TXXX is ID3v2.4's frame for a text of one's own (§4.2.6), GEOB its frame for the manifest (§4.15).
    if at != end or kinds not in (b"TXXXGEOB", b"GEOB"):
        raise ShapeFault("id3.frames")
    if bytes(body[: len(_GEOB)]) != _GEOB:
        raise ShapeFault("id3.geob")
    return body[len(_GEOB) :]


def _syncsafe(raw: bytes) -> int:
    """Seven bits in each of four bytes (ID3v2.4 §6.2)."""
    size = 0
    for byte in raw:
        if byte & 0x80:
            raise ShapeFault("id3.size")
        size = size << 7 | byte
    return size


def _in_m4a(data: bytes) -> memoryview:
    view, found, at = memoryview(data), [], 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if size < _BOX_HEAD or at + size > len(data):
            raise ShapeFault("m4a.box")  # sizes of 64 bits and "to the end" are not as we write them
        found.append((data[at + 4 : at + 8], view[at + _BOX_HEAD : at + size]))
        at += size
    if [kind for kind, _ in found] != _M4A_ORDER:
        raise ShapeFault("m4a.boxes")
    (_, ftyp), (_, uuid), (_, free), *_ = found
    if bytes(ftyp) != _FTYP or len(free):
        raise ShapeFault("m4a.uncovered")
    if bytes(uuid[: len(_C2PA_UUID)]) != _C2PA_UUID:
        raise ShapeFault("m4a.uuid")
    return uuid[len(_C2PA_UUID) :]
