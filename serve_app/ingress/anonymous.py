"""Callers without a key: how often each address may ask whose a clip is.

Asking is free and needs no account, so that anyone can find out what is synthetic; asking without end would tell
whoever takes a mark out of a clip, try by try, whether it is gone. Buckets belong to one ingress replica.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping
from typing import Final

from foundation.rate_limits import Buckets
from serve_app.errors import RequestRefused

_V6_SITE: Final = 64  # bits that one subscriber is given: any address below them is the same caller


class Strangers:
    """Thread-safe. trusted_proxies: addresses whose X-Forwarded-For is believed."""

    def __init__(
        self, burst: int = 30, per_minute: float = 10.0, trusted_proxies: tuple[str, ...] = ()
    ) -> None:
        self._buckets = Buckets(burst, per_minute / 60)
        self._proxies = frozenset(trusted_proxies)

    def admit(self, peer: str | None, headers: Mapping[str, str]) -> None:
        """Take one of the caller's turns. Raises RequestRefused rate_limited."""
        name = _site(self._address(peer, headers))
        if (wait_s := self._buckets.wait_s(name)) > 0.0:
            raise RequestRefused(
                "rate_limited",
                "too many clips were handed in from this address; try again later, or send an API key",
                retry_after_s=math.ceil(wait_s),
            )
        self._buckets.take(name)

    def _address(self, peer: str | None, headers: Mapping[str, str]) -> str:
        """The last address that a proxy of ours has not written of itself; a caller can write any before it."""
        told = [one.strip() for one in headers.get("x-forwarded-for", "").split(",") if one.strip()]
        address = peer or ""
        while address in self._proxies and told:
            address = told.pop()
        return address


def _site(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""  # whoever hides it shares one bucket with all who do
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _V6_SITE), strict=False))
    return str(parsed)
