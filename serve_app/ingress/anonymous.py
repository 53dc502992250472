"""Callers without a key: how often each address may ask whose a clip is.

Asking is free and needs no account, so that anyone can find out what is synthetic; asking without end would tell
whoever takes a mark out of a clip, try by try, whether it is gone. Those whose address is not known, or is a proxy's
own, share one bucket. Buckets belong to one ingress replica.
"""

from __future__ import annotations

import math

from starlette.types import Scope

from foundation.rate_limits import Buckets
from serve_app.errors import RequestRefused
from serve_app.ingress.caller import client_address, subscriber


class AnonymousRateLimiter:
    """Thread-safe."""

    def __init__(self, burst: int = 30, per_minute: float = 10.0) -> None:
        self._buckets = Buckets(burst, per_minute / 60)

    def acquire(self, scope: Scope) -> None:
        """Take one of the caller's turns. Raises RequestRefused rate_limited."""
        address = client_address(scope)
        name = "" if address is None else subscriber(address)
        if (wait_s := self._buckets.wait_s(name)) > 0.0:
            raise RequestRefused(
                "rate_limited",
                "too many clips were handed in from this address; try again later, or send an API key",
                retry_after_s=math.ceil(wait_s),
            )
        self._buckets.take(name)
