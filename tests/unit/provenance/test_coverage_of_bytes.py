"""Every byte of a stamped file is covered: by C2PA's hash, its signature, or the shape of the container."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from provenance import container
from provenance.reading import read_manifest
from provenance.stamp import StampedClip, Stamper
from provenance.trust import TrustContext
from provenance.verify import Integrity, Verifier
from tests.unit.provenance.authority import Authority
from tests.unit.provenance.conftest import RATE, a_disclosure, speech_like

PADDING = b"cpadY"


@pytest.fixture(scope="module")
def short(stamper: Stamper) -> StampedClip:
    return stamper.stamp(speech_like(0.2), RATE, a_disclosure())


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


def _flips(data: bytes) -> list[int]:
    """Every byte of headers and manifest but its zero padding; samples of the padding and of the sound."""
    manifest, padding = data.index(b"C2PA"), data.rindex(PADDING) + len(PADDING)
    end = len(data) - 70
    return [
        *range(44),
        *range(44, manifest, 997),
        *range(manifest, padding + 8),
        *range(padding + 8, end, 499),
        *range(end, len(data)),
    ]


def test_a_stamped_file_has_the_one_shape(short: StampedClip) -> None:
    assert container.fault(short.data) is None


def test_a_flip_anywhere_is_caught_by_hash_signature_or_shape(
    short: StampedClip, authority: Authority
) -> None:
    trust, missed = TrustContext(authority.root_pem), []
    for at in _flips(short.data):
        data = flipped(short.data, at, bit=at % 8)
        reading = read_manifest(data, trust)
        if reading is not None and reading.asset_matches and container.fault(data) is None:
            missed.append(at)
    assert not missed


def test_the_shape_covers_what_c2pa_leaves_out(short: StampedClip, authority: Authority) -> None:
    """Holds the reason for `container`: were c2pa to cover these one day, this would say so."""
    trust = TrustContext(authority.root_pem)
    at = short.data.rindex(PADDING) + 200
    reading = read_manifest(flipped(short.data, at), trust)
    assert reading is not None
    assert reading.state == "Trusted"
    assert container.fault(flipped(short.data, at)) == "cose.padding"


@pytest.mark.parametrize("bit", range(8))
def test_no_flip_leaves_a_verdict_of_intact(short: StampedClip, verifier: Verifier, bit: int) -> None:
    ends = [4, 16, 30, 60, 5000, len(short.data) - 1]
    for at in [*ends, short.data.index(b"C2PA") + 4 + bit, short.data.rindex(PADDING) + 100 + bit]:
        assert verifier.verify(flipped(short.data, at, bit)).integrity is not Integrity.INTACT


def _grown(data: bytes, by: bytes) -> bytes:
    data += by
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"\x00",
        lambda data: data + b"anything at all",
        lambda data: _grown(data, b"LIST\x04\x00\x00\x00INFO"),
        lambda data: _grown(data, data[data.index(b"C2PA") :]),
        lambda data: data[:-1],
        lambda data: data[:12] + b"LIST\x04\x00\x00\x00INFO" + data[12:],
    ],
    ids=[
        "one byte more",
        "trailing bytes",
        "trailing chunk",
        "a second manifest",
        "one less",
        "a chunk in front",
    ],
)
def test_nothing_can_be_added_or_cut(
    short: StampedClip, verifier: Verifier, change: Callable[[bytes], bytes]
) -> None:
    assert verifier.verify(change(short.data)).integrity is Integrity.ALTERED


def test_the_shape_alone_names_what_is_wrong(short: StampedClip) -> None:
    longer, size = short.data + b"\x00", len(short.data) - 8
    assert container.fault(longer) == "riff.size"
    assert container.fault(longer[:4] + struct.pack("<I", size + 1) + longer[8:]) == "container.truncated"
    assert container.fault(_grown(short.data, b"LIST\x00\x00\x00\x00")) == "riff.chunks"
    assert container.fault(short.data.replace(b"c2pa.signature\x00", b"c2pa.signaturf\x00")) is not None


def test_the_shape_of_garbage_is_a_finding_and_not_an_exception(short: StampedClip) -> None:
    start = short.data.index(b"C2PA")
    for cut in range(0, len(short.data) - start, 37):
        assert container.fault(short.data[: start + cut]) is not None
        assert container.fault(_grown(short.data[: start + cut], b"")) is not None
    assert container.fault(b"") is not None
