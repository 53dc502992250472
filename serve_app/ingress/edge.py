"""What stands between the network and the application: request ids, bounds on time and size, no traceback, and no
foreign hand on Ray's controls."""

from __future__ import annotations

import logging
import math
import re
import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from foundation.redact import type_and_place
from serve_app.deadline import deadline
from serve_app.errors import RequestRefused
from serve_app.ingress.failed_auth import FailedAuthLimiter

log = logging.getLogger("vouch.serve")

# With these a caller could lift the deadline of a request, or keep it running after hanging up.
CONTROL_HEADERS: Final = frozenset({b"x-request-timeout-seconds", b"x-request-disconnect-disabled"})
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9_.-]{1,64}")


class _TooLargeError(Exception):
    """The body passed its bound. Frameworks turn what a body raises into an answer of their own, so the edge
    remembers it and answers itself."""


class Edge:
    """ASGI middleware, one `_Passage` for each HTTP request."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        deadline_s: float,
        max_body_bytes: int,
        failed_auth: FailedAuthLimiter | None = None,
    ) -> None:
        self._app = app
        self._deadline_s = deadline_s
        self._max_body_bytes = max_body_bytes
        self._failed_auth = failed_auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passage = _Passage(scope, receive, send, self._max_body_bytes)
        if self._failed_auth is not None:
            passage.count_failures(self._failed_auth)
            if (wait_s := self._failed_auth.wait_s(scope)) > 0.0:
                await passage.turn_away(wait_s)
                return
        await passage.through(self._app, self._deadline_s)


class _Passage:
    """One request on its way in, and its answer on the way out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, max_body_bytes: int) -> None:
        given = dict(scope["headers"])
        asked = given.get(b"x-request-id", b"")
        self._is_callers = _REQUEST_ID.fullmatch(asked) is not None
        self._request_id = asked if self._is_callers else secrets.token_hex(8).encode()
        self._declared = given.get(b"content-length", b"")
        headers = [(k, v) for k, v in scope["headers"] if k not in CONTROL_HEADERS and k != b"x-request-id"]
        self._scope = {**scope, "headers": [*headers, (b"x-request-id", self._request_id)]}
        self._receive = receive
        self._send = send
        self._max_body_bytes = max_body_bytes
        self._received = 0
        self._too_large = self._declared.isdigit() and int(self._declared) > max_body_bytes
        self._started = False
        self._failed_auth: FailedAuthLimiter | None = None

    def count_failures(self, failed_auth: FailedAuthLimiter) -> None:
        self._failed_auth = failed_auth

    async def turn_away(self, wait_s: float) -> None:
        refused = RequestRefused(
            "rate_limited", "too many failed attempts from your address", retry_after_s=math.ceil(wait_s)
        )
        await self._answer(refused)

    async def through(self, app: ASGIApp, deadline_s: float) -> None:
        try:
            if not self._too_large:
                async with deadline(deadline_s):
                    await app(self._scope, self._receiving, self._sending)
        except TimeoutError:
            await self._end("deadline_exceeded", "the request took too long; nothing was released")
        except Exception as exc:  # noqa: BLE001 - whatever it was, its traceback may hold a text
            if not self._too_large:
                log.error("unexpected: %s", type_and_place(exc))  # noqa: TRY400
                await self._end("internal_error", "an unexpected error; nothing was released")
        if self._too_large:
            await self._end("upload_too_large", f"send at most {self._max_body_bytes:,} bytes")

    async def _receiving(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > self._max_body_bytes:
            self._too_large = True
            raise _TooLargeError
        return message

    async def _sending(self, message: Message) -> None:
        if self._too_large and not self._started:
            return  # the framework's answer to a body that broke off; ours follows
        if message["type"] == "http.response.start":
            self._started = True
            if self._failed_auth is not None and message["status"] == 401:
                self._failed_auth.failed(self._scope)
            if not self._is_callers:  # Ray's own middleware, where there is one, gives back what came in
                MutableHeaders(scope=message)["X-Request-Id"] = self._request_id.decode()
        await self._send(message)

    async def _end(self, code: str, message: str) -> None:
        if self._started:
            # Too late for an answer: break the connection, so that a part is not taken for the whole.
            raise ConnectionAbortedError("the response was cut") from None
        self._too_large = False
        await self._answer(
            RequestRefused(code, message), {"Connection": "close"} if code == "upload_too_large" else {}
        )

    async def _answer(self, refused: RequestRefused, more: Mapping[str, str] = MappingProxyType({})) -> None:
        body, headers = refused.body(self._request_id.decode()), {**refused.headers(), **more}
        response = JSONResponse(body, status_code=refused.status, headers=headers)
        await response(self._scope, self._receive, self._sending)


def ignore_control_headers() -> None:
    """Make this replica deaf to Ray's control headers.

    Behind HAProxy the replica itself parses them, before any ASGI application is asked, so a middleware comes too
    late. The two parsers are replaced by ones that return the server's defaults. A Ray that names them differently
    must not start silently unprotected: AttributeError.
    """
    from ray.serve._private import replica

    for name in ("parse_request_timeout_header", "parse_disconnect_disabled_header"):
        getattr(replica, name)
    replica.parse_request_timeout_header = lambda headers, default_timeout_s: default_timeout_s
    replica.parse_disconnect_disabled_header = lambda headers: False
