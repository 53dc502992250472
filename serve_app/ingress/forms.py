"""Files of a form (`curl -F file=@clip.wav`; RFC 7578), read in memory.

A framework's form parser spools a file to a disk past 1 MiB (DESIGN I6); this one works on the body that the edge has
bounded already. The form's frame is never taken for sound.
"""

from __future__ import annotations

from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from serve_app.errors import RequestRefused

_MOST_PARTS: Final = 8
_MOST_HEADER_BYTES: Final = 8_192


def is_form(content_type: str | None) -> bool:
    """Whether a body comes as parts of a form. What curl calls `application/x-www-form-urlencoded` with `--data-binary`
    is the raw body."""
    return (content_type or "").partition(";")[0].strip().lower() == "multipart/form-data"


def read_form(body: bytes, content_type: str) -> dict[str, bytes]:
    """The parts by name; of two with one name, the first. Raises RequestRefused form_invalid."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise _invalid("the form names no boundary")
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type] # keys of a TypedDict
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise _invalid("the form cannot be read") from None
    if not parts.ended:
        raise _invalid("the form breaks off")
    return {name: bytes(data) for name, data in parts.found.items()}


class _Parts:
    """What the parser reports, in memory."""

    def __init__(self) -> None:
        self.found: dict[str, bytearray] = {}
        self.ended = False
        self._count = 0
        self._field, self._value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._data: bytearray | None = None

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._grow(self._field, data[start:end]),
            "on_header_value": lambda data, start, end: self._grow(self._value, data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._count += 1
        if self._count > _MOST_PARTS:
            raise _invalid(f"a form holds at most {_MOST_PARTS} parts")
        self._headers, self._data = {}, None
        self._field, self._value = bytearray(), bytearray()

    def _grow(self, text: bytearray, more: bytes) -> None:
        text += more
        if len(text) > _MOST_HEADER_BYTES:
            raise _invalid("a part of the form has a header that is too long")

    def _header(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        self._data = self.found.setdefault(name, bytearray()) if name not in self.found else bytearray()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._data is not None:
            self._data += data[start:end]

    def _end(self) -> None:
        self.ended = True


def _invalid(message: str) -> RequestRefused:
    return RequestRefused("form_invalid", message)
