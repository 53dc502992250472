"""The OpenAPI document: complete where FastAPI cannot see, and free of answers that are never given."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from provenance.formats.catalogue import FORMATS

AUDIO: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {one.media_type: {} for one in FORMATS.values()},
        "description": "A stamped clip: watermarks inside, and its C2PA manifest inside or where `Link` says.",
    }
}


def raw_body(*media_types: str) -> dict[str, Any]:
    """A body that the route reads itself, as bytes."""
    schema = {"type": "string", "format": "binary"}
    return {"required": True, "content": {media_type: {"schema": schema} for media_type in media_types}}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """A JSON body that the route reads itself, bounded."""
    return {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}


def describe(app: FastAPI) -> dict[str, Any]:
    """The document, made once. FastAPI would add a 422 to every route; ours is 400, in the one error shape."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for unused in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(unused, None)
        app.openapi_schema = document
    return app.openapi_schema
