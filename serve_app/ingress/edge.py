"""The edge of the online door: what stands before every application of ours, a deadline, and no foreign hand on Ray's
controls."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from consent_service.http import edge
from consent_service.http.errors import DeadlineExceeded
from serve_app.deadline import deadline
from serve_app.errors import STATUS, RequestRefused
from serve_app.ingress.failed_auth import FailedAuthLimiter

# With these a caller could lift the deadline of a request, or keep it running after hanging up.
CONTROL_HEADERS: Final = frozenset({b"x-request-timeout-seconds", b"x-request-disconnect-disabled"})


class Edge(edge.Edge):
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        deadline_s: float,
        max_body_bytes: int,
        failed_auth: FailedAuthLimiter | None = None,
    ) -> None:
        super().__init__(app, limit=lambda _: max_body_bytes, table=STATUS)
        self._deadline_s = deadline_s
        self._failed_auth = failed_auth

    def admit(self, scope: Scope) -> Exception | None:
        wait_s = 0.0 if self._failed_auth is None else self._failed_auth.wait_s(scope)
        if wait_s <= 0.0:
            return None
        return RequestRefused(
            "rate_limited", "too many failed attempts from your address", retry_after_s=wait_s
        )

    async def within(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in CONTROL_HEADERS]
        try:
            async with deadline(self._deadline_s):
                await app(scope, receive, send)
        except TimeoutError:
            raise DeadlineExceeded("the request took too long; nothing was released") from None

    def answering(self, scope: Scope, headers: MutableHeaders, status: int) -> None:
        if self._failed_auth is not None and status == 401:
            self._failed_auth.failed(scope)
        if not scope["state"]["request_id_is_callers"]:  # Ray's own middleware gives back what came in
            super().answering(scope, headers, status)


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
