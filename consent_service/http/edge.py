"""What stands between the network and the application: a request id, a bound on the body, no traceback, and the count.

Bodies are kept in memory and bounded: nothing of an upload is spooled to a disk (DESIGN I6).
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consent_service.http.errors import answer
from consent_service.http.metrics import ApiMetrics
from foundation.redact import type_and_place

log = logging.getLogger("vouch.consent")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
UPLOADS: Final = re.compile(r"/v1/voices/((enrolments|statements)/[^/]{1,200}/complete|designed)")


class _TooLargeError(Exception):
    """Remembered by the edge: a framework turns what a body raises into an answer of its own."""


class Edge:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, metrics: ApiMetrics, max_body: int, max_upload: int) -> None:
        self._app, self._metrics = app, metrics
        self._max_body, self._max_upload = max_body, max_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._max_upload if UPLOADS.fullmatch(scope["path"]) else self._max_body
        passage = _Passage(scope, receive, send, limit)
        begun = time.perf_counter()
        try:
            await passage.through(self._app)
        finally:
            seconds = time.perf_counter() - begun
            self._metrics.answered(_route(passage.scope), scope["method"], passage.status, seconds)


class _Passage:
    """One request on its way in, and its answer on the way out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self._request_id = _request_id(headers)
        self.scope: Scope = {**scope, "state": {**scope.get("state", {}), "request_id": self._request_id}}
        self._receive, self._send, self._limit, self._received = receive, send, limit, 0
        declared = headers.get("content-length", "")
        self._too_large = declared.isdigit() and int(declared) > limit
        self.status = 0  # until an answer begins

    async def through(self, app: ASGIApp) -> None:
        try:
            if not self._too_large:
                await app(self.scope, self._receiving, self._sending)
        except Exception as exc:  # noqa: BLE001 - whatever it was, its words may hold a name or a token
            if not self._too_large:
                log.error("unexpected %s in request %s", type_and_place(exc), self._request_id)  # noqa: TRY400
                await self._end(500, "internal_error", "an unexpected error; nothing was decided")
        if self._too_large:
            await self._end(413, "upload_too_large", f"send at most {self._limit:,} bytes")

    async def _receiving(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > self._limit:
            self._too_large = True
            raise _TooLargeError
        return message

    async def _sending(self, message: Message) -> None:
        if self._too_large and not self.status:
            return  # the framework's answer to a body that broke off; ours follows
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._request_id
            headers["Cache-Control"] = "no-store"  # keys, tokens and receipts stay out of caches
        await self._send(message)

    async def _end(self, status: int, code: str, message: str) -> None:
        self._too_large = False
        if self.status:
            raise ConnectionAbortedError("the response was cut") from None
        response = answer(self._request_id, status, code, message)
        response.headers["Connection"] = "close"  # what is left of the body is not read
        await response(self.scope, self._receive, self._sending)


def _request_id(headers: Mapping[str, str]) -> str:
    asked = headers.get("x-request-id", "")
    return asked if _REQUEST_ID.fullmatch(asked) else secrets.token_hex(8)


def _route(scope: Scope) -> str:
    """The route's template: ids stay out of labels, and so do paths that nobody serves."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", "unknown"))
