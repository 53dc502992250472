"""Who keeps knocking with wrong keys: an address that failed too often waits before anybody is asked.

What counts is an answer of 401 to a request that brought a credential. An address that has no failure left is refused
whatever it sends, so that the answer tells nothing of a key; requests without a credential pass. An IPv6 caller is its
/64, which is what one subscriber holds. Buckets belong to one ingress replica.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Final

from starlette.types import Scope

from foundation.rate_limits import Buckets
from serve_app.config import IngressConfig

_FORWARDED: Final = b"x-forwarded-for"
_SUBSCRIBER_BITS: Final = 64


class Doorstep:
    """Counts failures by address. Thread-safe."""

    def __init__(self, config: IngressConfig) -> None:
        self._from = config.client_address
        self._failures = Buckets(config.failures, config.failures_per_s)

    def wait_s(self, scope: Scope) -> float:
        """Seconds until this request may be looked at; 0.0 for now, and where nobody's address is known."""
        address = self._address(scope)
        return 0.0 if address is None else self._failures.wait_s(address)

    def failed(self, scope: Scope) -> None:
        address = self._address(scope)
        if address is not None:
            self._failures.take(address)

    def _address(self, scope: Scope) -> str | None:
        if self._from == "hidden" or not any(name == b"authorization" for name, _ in scope["headers"]):
            return None
        peer: str = (scope.get("client") or ("",))[0]
        named = [value for name, value in scope["headers"] if name == _FORWARDED]
        if self._from == "forwarded" and named:
            # The last one is what our own load balancer saw; those before it are the caller's to invent.
            peer = named[-1].decode("latin-1").rpartition(",")[2].strip()
        return _subscriber(peer)


def _subscriber(address: str) -> str | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return f"{int(parsed) >> _SUBSCRIBER_BITS:x}/64"
    return str(parsed)
