"""What stands between the network and an application: a request id, a bound on the body, no traceback, and the count.

Bodies are kept in memory and bounded: nothing of an upload is spooled to a disk (DESIGN I6). A door that does more
overrides `admit`, `within` or `answering`.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consent_service.http.errors import (
    CONSENT_STATUS,
    BodyTooLarge,
    HttpError,
    StatusTable,
    Unexpected,
    answer,
)
from foundation.redact import type_and_place

log = logging.getLogger("vouch.http")
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
UPLOADS: Final = re.compile(r"/v1/voices/((enrolments|statements)/[^/]{1,200}/complete|designed)")
# (the scope as the application left it, the status, seconds)
Observer = Callable[[Scope, int, float], None]


class _TooLargeError(Exception):
    """Remembered by the edge: a framework turns what a body raises into an answer of its own."""


class Edge:
    """ASGI middleware around the whole application. `limit`: bytes of a body, by path."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit: Callable[[str], int],
        table: StatusTable = CONSENT_STATUS,
        observe: Observer | None = None,
    ) -> None:
        self._app, self._limit, self._table, self._observe = app, limit, table, observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passage = _Passage(self, scope, receive, send)
        began = time.perf_counter()
        try:
            if (refusal := self.admit(passage.scope)) is not None:
                await passage.answer(refusal)
            else:
                await passage.through(self._app)
        finally:
            if self._observe is not None:
                self._observe(passage.scope, passage.status, time.perf_counter() - began)

    def limit_of(self, scope: Scope) -> int:
        return self._limit(scope.get("path", ""))

    def respond(self, request_id: str, error: Exception) -> ASGIApp:
        return answer(request_id, error, self._table)

    def admit(self, scope: Scope) -> Exception | None:
        """The error that a request is answered with before anybody is asked; None to let it in."""
        return None

    async def within(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application. May raise HttpError."""
        await app(scope, receive, send)

    def answering(self, scope: Scope, headers: MutableHeaders, status: int) -> None:
        """Change an answer's headers before it begins."""
        headers["X-Request-Id"] = scope["state"]["request_id"]


class _Passage:
    """One request on its way in, and its answer on the way out."""

    def __init__(self, edge: Edge, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope["headers"])
        own = given.get(b"x-request-id", b"")
        is_callers = _REQUEST_ID.fullmatch(own) is not None
        request_id = own if is_callers else secrets.token_hex(8).encode()
        headers = [pair for pair in scope["headers"] if pair[0] != b"x-request-id"]
        self.scope: Scope = {
            **scope,
            "headers": [*headers, (b"x-request-id", request_id)],
            "state": {
                **scope.get("state", {}),
                "request_id": request_id.decode(),
                "request_id_is_callers": is_callers,
            },
        }
        self.status = 0  # until an answer begins
        self._edge, self._receive, self._send = edge, receive, send
        self._limit, self._received = edge.limit_of(scope), 0
        declared = given.get(b"content-length", b"")
        self._too_large = declared.isdigit() and int(declared) > self._limit

    async def through(self, app: ASGIApp) -> None:
        try:
            if not self._too_large:
                await self._edge.within(app, self.scope, self._receiving, self._sending)
        except HttpError as exc:
            await self._end(exc)
        except Exception as exc:  # noqa: BLE001 - its words may hold a text, a name or a token
            if not self._too_large:
                request_id = self.scope["state"]["request_id"]
                log.error("unexpected %s in request %s", type_and_place(exc), request_id)  # noqa: TRY400
                await self._end(Unexpected("an unexpected error; nothing was released"))
        if self._too_large:
            await self._end(BodyTooLarge(f"send at most {self._limit:,} bytes"), close=True)

    async def answer(self, error: Exception) -> None:
        response = self._edge.respond(self.scope["state"]["request_id"], error)
        await response(self.scope, self._receive, self._sending)

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
            headers.setdefault("Cache-Control", "no-store")  # keys, tokens and receipts stay out of caches
            self._edge.answering(self.scope, headers, self.status)
        await self._send(message)

    async def _end(self, error: Exception, *, close: bool = False) -> None:
        if self.status:
            # Too late for an answer: break the connection, so that a part is not taken for the whole.
            raise ConnectionAbortedError("the response was cut") from None
        self._too_large = False
        send = self._sending

        async def closing(message: Message) -> None:
            if close and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"  # what is left of the body is not read
            await send(message)

        response = self._edge.respond(self.scope["state"]["request_id"], error)
        await response(self.scope, self._receive, closing)


def route_of(scope: Scope) -> str:
    """The route's template: ids stay out of labels, and so do paths that nobody serves."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", "unknown"))
