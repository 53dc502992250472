"""What a browser opens: the person's page, and the documentation of the HTTP interface.

Every file comes from this package: nothing is loaded from another host, and no script stands in a page, so the content
security policy (CSP 3) allows neither. `/docs` is Swagger UI, unchanged (`data/docs/LICENSE`, Apache-2.0).
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

router = APIRouter(include_in_schema=False)

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Swagger UI writes style attributes, which no hash can name; scripts stay as strict as elsewhere.
_DOCS_POLICY: Final = _POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
_MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css",
}
_FILES: Final = {
    "me": frozenset({"page.js", "page.css"}),
    "docs": frozenset({"start.js", "swagger-ui.css", "swagger-ui-bundle.js"}),
}


@router.get("/me")
def person_page() -> Response:
    """The page that a person's link opens. The token is in the fragment, which no server sees."""
    return _page("me", _POLICY)


@router.get("/docs")
def documentation() -> Response:
    """The interface, to read and to try."""
    return _page("docs", _DOCS_POLICY)


@router.get("/me/{name}")
def person_file(name: str) -> Response:
    """Script and style of the person's page."""
    return _file("me", name)


@router.get("/docs/{name}")
def documentation_file(name: str) -> Response:
    """Swagger UI."""
    return _file("docs", name)


def _page(folder: str, policy: str) -> Response:
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", **_HARDENED}
    return Response(_read(folder, "index.html"), media_type=_MEDIA_TYPES["html"], headers=headers)


def _file(folder: str, name: str) -> Response:
    if name not in _FILES[folder]:
        raise HTTPException(404)
    headers = {"Cache-Control": "public, max-age=3600", **_HARDENED}
    return Response(_read(folder, name), media_type=_MEDIA_TYPES[name.rpartition(".")[2]], headers=headers)


@cache
def _read(folder: str, name: str) -> bytes:
    return resources.files("consent_service.http").joinpath("data", folder, name).read_bytes()


_HARDENED: Final = {"X-Content-Type-Options": "nosniff"}
