"""Parts of a stored clip (RFC 9110 §14): a player seeks in what it has not fetched.

One range in bytes is answered. Several, another unit, or a range that cannot be read are no error: the whole clip goes
out, as §14.2 allows.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import Request, Response

from serve_app.errors import RequestRefused

_ONE_RANGE: Final = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII)


def respond(
    request: Request, audio: bytes, media_type: str, sha256: str, headers: dict[str, str]
) -> Response:
    """The clip, or the part of it that the request names; of HEAD, the headers alone. Raises RequestRefused
    range_not_satisfiable."""
    etag = f'"{sha256}"'
    headers = {**headers, "Accept-Ranges": "bytes", "ETag": etag}
    # If-Range (§13.1.5): only the same bytes are continued.
    unchanged = request.headers.get("if-range", etag) == etag
    part = (
        _part(request.headers.get("range", ""), len(audio)) if unchanged and request.method == "GET" else None
    )
    if request.method == "HEAD":
        return Response(media_type=media_type, headers={**headers, "Content-Length": str(len(audio))})
    if part is None:
        return Response(audio, media_type=media_type, headers=headers)
    first, last = part
    headers["Content-Range"] = f"bytes {first}-{last}/{len(audio)}"
    return Response(audio[first : last + 1], 206, headers, media_type)


def _part(wanted: str, size: int) -> tuple[int, int] | None:
    """(first, last) byte; None: the whole."""
    found = _ONE_RANGE.fullmatch(wanted)
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first and last and int(last) < int(first):
        return None  # §14.1.1: invalid, and so ignored
    begins = int(first) if first else max(0, size - int(last))
    ends = min(int(last), size - 1) if first and last else size - 1
    if begins >= size or (not first and int(last) == 0):
        raise RequestRefused(
            "range_not_satisfiable", f"the clip holds {size:,} bytes", param="Range",
            headers={"Content-Range": f"bytes */{size}"},
        )  # fmt: skip
    return begins, ends
