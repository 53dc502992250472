"""Uploads that somebody made to do harm, from a seed: the same number gives the same file.

Each family is one way to lie to a parser; what it may be answered with stands beside it. Nothing here is a sample of
anybody's malware: the files are made from headers, lengths and silence.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import av
import numpy as np
import soundfile

RATE = 24_000
UNREADABLE = "audio_unreadable"
LAYOUT = "audio_layout_unsupported"
LONG = "audio_too_long"
LARGE = "audio_too_large"
ANSWERED = "a verdict"

Random = np.random.Generator


@dataclass(frozen=True)
class Upload:
    """`answers`: every one that is right: `ANSWERED`, or the code of an error."""

    name: str
    data: bytes = field(repr=False)
    answers: frozenset[str]


@dataclass(frozen=True)
class Originals:
    """Short, good files to start from. stamped: a WAV with a manifest."""

    stamped: bytes = field(repr=False)
    good: dict[str, bytes] = field(repr=False)

    @classmethod
    def around(cls, stamped: bytes) -> Originals:
        tone = (0.2 * np.sin(np.arange(RATE // 2) / 9)).astype(np.float32)
        return cls(
            stamped, {form: encoded(tone, form) for form in ("wav", "flac", "mp3", "opus", "ogg", "m4a")}
        )


def encoded(samples: np.ndarray, form: str, rate: int = RATE) -> bytes:
    out = io.BytesIO()
    if form == "m4a":
        with av.open(out, "w", format="ipod") as container:
            stream = container.add_stream("aac", rate=rate, layout="mono")
            frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.sample_rate = rate
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return out.getvalue()
    kind = {
        "wav": ("WAV", "PCM_16"),
        "flac": ("FLAC", "PCM_16"),
        "mp3": ("MP3", None),
        "opus": ("OGG", "OPUS"),
    }
    name, subtype = kind.get(form, ("OGG", "VORBIS"))
    soundfile.write(out, samples, rate, format=name, subtype=subtype)
    return out.getvalue()


def wav(
    body: bytes, *, tag: int = 1, channels: int = 1, rate: int = RATE, bits: int = 16, **sizes: int
) -> bytes:
    """sizes: riff, fmt, data, block: what the header claims instead of the truth."""
    block = sizes.get("block", channels * bits // 8)
    fmt = struct.pack(
        "<HHIIHH", tag & 0xFFFF, channels, rate, (rate * block) & 0xFFFFFFFF, block & 0xFFFF, bits
    )
    head = b"WAVEfmt " + struct.pack("<I", sizes.get("fmt", len(fmt))) + fmt
    chunk = b"data" + struct.pack("<I", sizes.get("data", len(body))) + body
    return b"RIFF" + struct.pack("<I", sizes.get("riff", len(head) + len(chunk))) + head + chunk


def box(kind: bytes, body: bytes, size: int | None = None) -> bytes:
    return struct.pack(">I4s", len(body) + 8 if size is None else size, kind) + body


def id3(frames: bytes, size: int | None = None, flags: int = 0) -> bytes:
    n = len(frames) if size is None else size
    return b"ID3\x03\x00" + bytes([flags, *((n >> shift) & 0x7F for shift in (21, 14, 7, 0))]) + frames


def _truncated(random: Random, given: Originals) -> bytes:
    data = _any(random, given)
    return data[: int(random.integers(1, len(data)))]


def _flipped(random: Random, given: Originals) -> bytes:
    data = bytearray(_any(random, given))
    for at in random.integers(0, len(data), 1 + len(data) // 200):
        data[at] ^= 1 << int(random.integers(0, 8))
    return bytes(data)


def _any(random: Random, given: Originals) -> bytes:
    return list(given.good.values())[int(random.integers(0, len(given.good)))]


def _wav_sizes(random: Random, given: Originals) -> bytes:
    lie = int(random.choice([0, 1, 7, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFF0]))
    return wav(bytes(2000), **{str(random.choice(["riff", "fmt", "data"])): lie})


def _no_channels(random: Random, given: Originals) -> bytes:
    return wav(bytes(2000), channels=0, block=int(random.integers(0, 4)))


def _many_channels(random: Random, given: Originals) -> bytes:
    channels = int(random.choice([9, 64, 255, 1024, 65_535]))
    return wav(bytes(channels * 2 * 4), channels=channels)


def _odd_rate(random: Random, given: Originals) -> bytes:
    return wav(bytes(4000), rate=int(random.choice([1, 1_000, 384_000, 768_000, 2_000_000_000])))


def _odd_bits(random: Random, given: Originals) -> bytes:
    return wav(
        bytes(4000), bits=int(random.choice([0, 1, 3, 7, 12, 65_535])), block=int(random.integers(0, 5))
    )


def _odd_codec(random: Random, given: Originals) -> bytes:
    """A codec that only a video game knows, inside a WAV: none of those decoders is ours to run."""
    return wav(random.bytes(4000), tag=int(random.choice([2, 0x11, 0x31, 0x45, 0x61, 0x270, 0x2000, 0xF1AC])))


def _not_numbers(random: Random, given: Originals) -> bytes:
    wild = np.full(RATE // 2, 0.1, "<f4")
    wild[:: int(random.integers(2, 9))] = random.choice([np.nan, np.inf, -np.inf, 3e38, 1e-45])
    return wav(wild.tobytes(), tag=3, bits=32)


def _silence(random: Random, given: Originals) -> bytes:
    """Longer than is looked at, in a few bytes."""
    seconds = int(random.integers(35, 120))
    return encoded(
        np.zeros(seconds * 8_000, np.float32),
        str(random.choice(["flac", "opus", "ogg", "m4a", "mp3"])),
        8_000,
    )


def _hidden_length(random: Random, given: Originals) -> bytes:
    """A FLAC stream whose header does not say how long it is, or says a second."""
    data = bytearray(encoded(np.zeros(int(random.integers(35, 90)) * 8_000, np.float32), "flac", 8_000))
    said = int(random.choice([0, 8_000]))
    data[21] &= 0xF0
    data[22:26] = struct.pack(">I", said)
    return bytes(data)


def _declared_day(random: Random, given: Originals) -> bytes:
    """A header that promises 24 hours; nothing of it is decoded."""
    data = bytearray(encoded(np.zeros(8_000, np.float32), "flac", 8_000))
    data[22:26] = struct.pack(">I", 24 * 3600 * 8_000)
    return bytes(data)


def _polyglot(random: Random, given: Originals) -> bytes:
    heads = (
        b"%PDF-1.7\n", b"PK\x03\x04", b"<html><script>", b"\x7fELF\x02\x01", b"\xff\xd8\xff\xe0", b"GIF89a",
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", b"ffconcat version 1.0\nfile '/etc/hostname'\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n",
    )  # fmt: skip
    head = heads[int(random.integers(0, len(heads)))]
    data = _any(random, given)
    return head + data if random.random() < 0.7 else data + head + bytes(int(random.integers(0, 5000)))


def _wrong_magic(random: Random, given: Originals) -> bytes:
    magics = (
        b"RIFF\xff\xff\xff\xffWAVE", b"fLaC", b"OggS", b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f", b"\xff\xfb\x90\x64",
        b"\x00\x00\x00\x18ftypM4A ", b"\xff\xf1\x50\x80",
    )  # fmt: skip
    return magics[int(random.integers(0, len(magics)))] + random.bytes(int(random.integers(0, 20_000)))


def _id3(random: Random, given: Originals) -> bytes:
    """Tags that lie about their size, nest, or unpack to gigabytes."""
    packed = zlib.compress(bytes(1 << 20), 9)
    # TXXX is the name of an ID3v2 frame.
    bomb = b"TXXX" + struct.pack(">I", len(packed) + 4) + b"\x00\x80" + struct.pack(">I", 0x7FFFFFFF) + packed
    picture = b"APIC" + struct.pack(">I", 0x7FFFFFFF) + b"\x00\x00" + bytes(100)
    many = (b"TIT2" + struct.pack(">I", 1) + b"\x00\x00\x03") * 50_000
    frames = (bomb, picture, many, id3(id3(bomb)))[int(random.integers(0, 4))]
    tag = id3(
        frames, size=None if random.random() < 0.7 else 0x0FFFFFFF, flags=int(random.choice([0, 0x80, 0x40]))
    )
    return tag + given.good["mp3"]


def _mp4_tables(random: Random, given: Originals) -> bytes:
    """Sample tables that promise four billion entries."""
    data = given.good["m4a"]
    kind = (b"stsz", b"stts", b"stsc", b"stco")[int(random.integers(0, 4))]
    at = data.index(kind) + (12 if kind == b"stsz" else 8)
    return (
        data[:at] + struct.pack(">I", int(random.choice([0xFFFFFFFF, 0x7FFFFFFF, 1 << 24]))) + data[at + 4 :]
    )


def _mp4_nested(random: Random, given: Originals) -> bytes:
    body = b""
    for _ in range(int(random.integers(100, 20_000))):
        body = box(b"moov", body) if len(body) < 60_000 else body
    return box(b"ftyp", b"M4A \x00\x00\x00\x00M4A ") + body


def _mp4_reference(random: Random, given: Originals) -> bytes:
    """The sound lies in another file, says this one."""
    data, where = given.good["m4a"], b"file:///etc/hostname\x00"
    at = data.index(b"url ") - 4
    return data[:at] + box(b"url ", b"\x00\x00\x00\x00" + where)[:12] + data[at + 12 :]


def _store(random: Random, given: Originals) -> bytes:
    """A manifest whose CBOR declares what the file does not hold: a parser would reserve it."""
    data = given.stamped
    start = data.index(b"jumdc2pa")
    at = start + int(random.integers(60, min(4_000, len(data) - start - 20)))
    lengths = (
        b"\x5b\x00\x00\x00\x08" + bytes(4), b"\x9b\x00\x00\x00\x01" + bytes(4), b"\xbb" + b"\x7f" * 8,
        b"\x5a\x7f\xff\xff\xff", b"\x7a\x40\x00\x00\x00",
    )  # fmt: skip
    lie = lengths[int(random.integers(0, len(lengths)))]
    return data[:at] + lie + data[at + len(lie) :]


def _nested_store(random: Random, given: Originals) -> bytes:
    description = box(b"jumd", b"c2pa" + bytes.fromhex("00110010800000aa00389b71") + b"\x03c2pa\x00")
    body = b""
    for _ in range(int(random.choice([20, 200, 2_000]))):
        body = box(b"jumb", description + body)
    body = box(b"jumb", description + body + (b"\xff" if random.random() < 0.5 else b""))
    plain = given.good["wav"]
    chunk = b"C2PA" + struct.pack("<I", len(body)) + body + b"\x00" * (len(body) % 2)
    return plain[:4] + struct.pack("<I", len(plain) + len(chunk) - 8) + plain[8:] + chunk


def _cbor_nest(random: Random, given: Originals) -> bytes:
    """Arrays in arrays, as deep as a stack is not."""
    data = given.stamped
    at = data.index(b"cbor", data.index(b"jumdc2pa")) + 4
    depth = int(random.integers(40, 400))
    return data[:at] + b"\x81" * depth + data[at + depth :]


def _huge(random: Random, given: Originals) -> bytes:
    return given.good["wav"] + bytes(5 << 20)


_ANY_CODE = frozenset({ANSWERED, UNREADABLE, LAYOUT, LONG})
_FAMILIES: dict[str, tuple[Callable[[Random, Originals], bytes], frozenset[str]]] = {
    "truncated": (_truncated, _ANY_CODE),
    "flipped bits": (_flipped, _ANY_CODE),
    "wav sizes": (_wav_sizes, frozenset({ANSWERED, UNREADABLE})),
    "no channels": (_no_channels, frozenset({UNREADABLE, LAYOUT})),
    "many channels": (_many_channels, frozenset({UNREADABLE, LAYOUT})),
    "odd rate": (_odd_rate, frozenset({UNREADABLE, LAYOUT})),
    "odd bits": (_odd_bits, frozenset({ANSWERED, UNREADABLE, LAYOUT})),
    "odd codec": (_odd_codec, frozenset({UNREADABLE, LAYOUT})),
    "not numbers": (_not_numbers, frozenset({ANSWERED})),
    "silence": (_silence, frozenset({LONG})),
    "hidden length": (_hidden_length, frozenset({LONG})),
    "declared day": (_declared_day, frozenset({LONG})),
    "polyglot": (_polyglot, frozenset({ANSWERED, UNREADABLE})),
    "wrong magic": (_wrong_magic, _ANY_CODE),
    "id3": (_id3, frozenset({ANSWERED, UNREADABLE})),
    "mp4 tables": (_mp4_tables, frozenset({ANSWERED, UNREADABLE, LONG})),
    "mp4 nested": (_mp4_nested, frozenset({UNREADABLE})),
    "mp4 reference": (_mp4_reference, frozenset({ANSWERED, UNREADABLE})),
    "cbor lengths": (_store, frozenset({ANSWERED})),
    "nested store": (_nested_store, frozenset({ANSWERED})),
    "cbor nest": (_cbor_nest, frozenset({ANSWERED})),
    "huge": (_huge, frozenset({LARGE})),
}


def uploads(count: int, given: Originals, seed: int = 5) -> Iterator[Upload]:
    """`count` of them, every family in turn."""
    families = list(_FAMILIES.items())
    for number in range(count):
        name, (make, answers) = families[number % len(families)]
        data = make(np.random.default_rng([seed, number]), given)
        yield Upload(f"{name} {number}", data, answers)
