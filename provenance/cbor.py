"""Whether CBOR (RFC 8949) from a stranger may be handed to a parser.

A byte string that declares gigabytes makes c2pa's reader reserve and touch them, from an upload of a few
bytes. This walks an item once, decodes nothing, and answers whether every declared length lies inside the
data.
"""

from __future__ import annotations

from typing import Final

_MAX_DEPTH: Final = 32
_MAX_ITEMS: Final = 100_000
_BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = 2, 3, 4, 5, 6, 7
_INDEFINITE, _BREAK = 31, 0xFF


def is_sound(data: bytes) -> bool:
    """Whether `data` is exactly one well-formed item, not too deep and not too many."""
    walk = _Walk(data)
    try:
        return walk.item(0, 0) == len(data)
    except (IndexError, ValueError):
        return False


def first_of_array(data: bytes) -> bytes | None:
    """Content of the byte string that an array begins with, as COSE's protected header does; None without
    one.

    data: sound, as `is_sound` says.
    """
    at = 0
    while data[at] >> 5 == _TAG:
        at = _head(data, at)[1]
    if data[at] >> 5 != _ARRAY:
        return None
    at = _head(data, at)[1]
    if at >= len(data) or data[at] >> 5 != _BYTES or data[at] & 31 == _INDEFINITE:
        return None
    length, start = _head(data, at)
    return data[start : start + length]


def _head(data: bytes, at: int) -> tuple[int, int]:
    """(argument, where the content starts). Raises ValueError for a reserved or indefinite one."""
    short = data[at] & 31
    if short < 24:
        return short, at + 1
    width = {24: 1, 25: 2, 26: 4, 27: 8}.get(short)
    if width is None or at + 1 + width > len(data):
        raise ValueError("reserved or cut")
    return int.from_bytes(data[at + 1 : at + 1 + width], "big"), at + 1 + width


class _Walk:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._items = 0

    def item(self, at: int, depth: int) -> int:
        """Where the item at `at` ends."""
        self._items += 1
        if depth > _MAX_DEPTH or self._items > _MAX_ITEMS:
            raise ValueError("too deep or too many")
        kind = self._data[at] >> 5
        if self._data[at] & 31 == _INDEFINITE:
            return self._indefinite(at + 1, kind, depth)
        argument, at = _head(self._data, at)
        if kind in (_BYTES, _TEXT):
            return self._inside(at + argument)
        if kind in (_ARRAY, _MAP):
            count = argument * (kind - _ARRAY + 1)
            self._inside(at + count)  # an item takes a byte at least
            for _ in range(count):
                at = self.item(at, depth + 1)
        elif kind == _TAG:
            at = self.item(at, depth + 1)
        return at

    def _indefinite(self, at: int, kind: int, depth: int) -> int:
        if kind not in (_BYTES, _TEXT, _ARRAY, _MAP):
            raise ValueError("cannot be indefinite")
        while self._data[at] != _BREAK:
            at = self.item(at, depth + 1)
        return at + 1

    def _inside(self, end: int) -> int:
        if end > len(self._data):
            raise ValueError("longer than the data")
        return end
