"""Which format a file is in, by its first bytes alone: what it is called, or claims to be, is a stranger's word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Sniffed:
    """A format that is looked at. demuxer: FFmpeg's name for it; exact: its header counts the samples it holds."""

    media_type: str
    demuxer: str
    exact: bool = True


OPAQUE: Final = "application/octet-stream"
_WAV: Final = Sniffed("audio/wav", "wav")
_FLAC: Final = Sniffed("audio/flac", "flac")
_OGG: Final = Sniffed("audio/ogg", "ogg")
_M4A: Final = Sniffed("audio/mp4", "mov")
_MP3: Final = Sniffed("audio/mpeg", "mp3", exact=False)
_AAC: Final = Sniffed("audio/aac", "aac", exact=False)


def sniff(data: bytes) -> Sniffed | None:
    """None for what is none of the formats that are read."""
    head = data[:12]
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return _WAV
    if head[:4] == b"fLaC":
        return _FLAC
    if head[:4] == b"OggS":
        return _OGG
    if head[4:8] == b"ftyp":
        return _M4A
    if head[:3] == b"ID3":
        # C2PA keeps the manifest of a FLAC file in an ID3 tag before it.
        at = _after_id3(head)
        return _FLAC if data[at : at + 4] == b"fLaC" else _MP3
    if head[:1] == b"\xff" and head[1:2] >= b"\xe0":
        # Layer 0 is what ADTS writes where MPEG audio says I, II or III.
        return _AAC if head[1] & 0xF6 == 0xF0 else _MP3
    return None


def _after_id3(head: bytes) -> int:
    """Where the tag ends: seven bits of its size in each of four bytes (ID3v2.4 §3.1)."""
    size = 0
    for byte in head[6:10]:
        size = size << 7 | (byte & 0x7F)
    return 10 + size
