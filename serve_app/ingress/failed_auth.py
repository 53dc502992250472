"""Wrong API keys: an address that sent too many waits before anybody is asked.

What counts is an answer of 401 to a request that brought a credential. An address that has no failure left is refused
whatever it sends, so that the answer tells nothing of a key; requests without a credential pass. Where every caller
looks alike nobody is counted, or one would lock all others out: until it is known which proxies there are, and where
the address is a proxy's own. Buckets belong to one ingress replica.
"""

from __future__ import annotations

from starlette.types import Scope

from foundation.rate_limits import Buckets
from serve_app.config import IngressConfig
from serve_app.ingress.caller import known_caller


class FailedAuthLimiter:
    """Counts failures by address. Thread-safe."""

    def __init__(self, config: IngressConfig) -> None:
        self._proxies = config.trusted_proxies
        self._failures = Buckets(config.failures, config.failures_per_s)

    def wait_s(self, scope: Scope) -> float:
        """Seconds until this request may be looked at; 0.0 for now, and where nobody's address is known."""
        name = self._name(scope)
        return 0.0 if name is None else self._failures.wait_s(name)

    def failed(self, scope: Scope) -> None:
        name = self._name(scope)
        if name is not None:
            self._failures.take(name)

    def _name(self, scope: Scope) -> str | None:
        if not any(name == b"authorization" for name, _ in scope["headers"]):
            return None
        return known_caller(scope, proxies=self._proxies)
