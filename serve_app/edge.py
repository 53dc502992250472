"""What stands between the network and the application: request ids, a deadline of our own, and no foreign hand on
Ray's controls."""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# With these a caller could lift the deadline of a request, or keep it running after hanging up.
CONTROL_HEADERS: Final = frozenset({b"x-request-timeout-seconds", b"x-request-disconnect-disabled"})
_REQUEST_ID: Final = re.compile(rb"^[A-Za-z0-9_.-]{1,64}$")


class Edge:
    """ASGI middleware: strips Ray's control headers, gives every request an id, bounds its time."""

    def __init__(self, app: ASGIApp, *, deadline_s: float) -> None:
        self._app = app
        self._deadline_s = deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        request_id = given if _REQUEST_ID.match(given) else secrets.token_hex(8).encode()
        headers = [(k, v) for k, v in scope["headers"] if k not in CONTROL_HEADERS and k != b"x-request-id"]
        scope = {**scope, "headers": [*headers, (b"x-request-id", request_id)]}
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            async with asyncio.timeout(self._deadline_s):
                await self._app(scope, receive, sending)
        except TimeoutError:
            if started:
                raise
            await self._too_late(scope, receive, sending, request_id.decode())

    @staticmethod
    async def _too_late(scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        from starlette.responses import JSONResponse

        from serve_app.errors import RequestRefused

        refused = RequestRefused("deadline_exceeded", "the request took too long; nothing was released")
        response = JSONResponse(refused.body(request_id), status_code=refused.status)
        await response(scope, receive, send)


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
