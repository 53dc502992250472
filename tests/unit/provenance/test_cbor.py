"""What a stranger's CBOR may look like before a parser sees it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import cbor


@pytest.mark.parametrize(
    "item",
    [
        "00", "1903e8", "20", "4401020304", "6449455446", "83010203", "a201020304", "c074323031332d30332d3231",
        "f4", "f6", "fb3ff199999999999a", "5f42010243030405ff", "9f01ff", "bf61610161629f0203ffff", "d28440a0f640",
    ],
)  # fmt: skip
def test_well_formed_items_pass(item: str) -> None:
    data = bytes.fromhex(item)
    if item.startswith("c074"):
        data = b"\xc0\x6a2013-03-21"
    assert cbor.is_sound(data)


@pytest.mark.parametrize(
    "item",
    [
        "", "18", "19ff", "1c", "5a7fffffff00", "5bffffffffffffffff", "7a00000005", "9affffffff", "bb7fffffffffffffff",
        "8301", "a101", "ff", "1f", "9f01", "5fff00", "0000", "c0",
    ],
)  # fmt: skip
def test_items_that_promise_more_than_there_is_do_not(item: str) -> None:
    assert not cbor.is_sound(bytes.fromhex(item))


def test_neither_depth_nor_count_is_unbounded() -> None:
    assert not cbor.is_sound(b"\x81" * 5_000 + b"\x00")
    assert not cbor.is_sound(b"\x9f" * 5_000 + b"\xff" * 5_000)
    assert not cbor.is_sound(b"\x9a\x00\x03\x0d\x40" + b"\x00" * 200_000)


@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer(data: bytes) -> None:
    if cbor.is_sound(data):
        cbor.first_of_array(data)


def test_the_protected_header_is_found_behind_the_tag() -> None:
    assert cbor.first_of_array(bytes.fromhex("d28443a10126a0f640")) == bytes.fromhex("a10126")
    assert cbor.first_of_array(bytes.fromhex("8101")) is None
    assert cbor.first_of_array(bytes.fromhex("a0")) is None
