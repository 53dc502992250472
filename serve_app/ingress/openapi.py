"""What the OpenAPI document says of bodies and answers that FastAPI cannot see."""

from __future__ import annotations

from typing import Any, Final

from provenance.formats.catalogue import FORMATS

AUDIO: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {one.media_type: {} for one in FORMATS.values()},
        "description": "A stamped clip: watermarks inside, and its C2PA manifest inside or where `Link` says.",
    }
}
# A stored clip: RFC 9110 §14.
AUDIO_IN_RANGES: Final[dict[int | str, dict[str, Any]]] = {
    **AUDIO,
    206: {**AUDIO[200], "description": "The part that `Range` named, with `Content-Range`."},
}


def raw_body(*media_types: str) -> dict[str, Any]:
    """A body that the route reads itself, as bytes."""
    return {"required": True, "content": {media_type: {"schema": _BYTES} for media_type in media_types}}


def raw_or_form_body(*media_types: str, parts: tuple[str, ...]) -> dict[str, Any]:
    """The same, or a form with these files; the first is needed."""
    form = {"type": "object", "properties": dict.fromkeys(parts, _BYTES), "required": [parts[0]]}
    body = raw_body(*media_types)
    return {**body, "content": {**body["content"], "multipart/form-data": {"schema": form}}}


_BYTES: Final = {"type": "string", "format": "binary"}
