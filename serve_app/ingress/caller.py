"""Whose request it is, for the limits: the address in `scope["client"]`, which nobody can choose for themselves.

That is who connects. Where it is a proxy of ours (`ingress.trusted_proxies`), uvicorn's ProxyHeadersMiddleware has put
there the last entry of X-Forwarded-For that no proxy of ours wrote about another; those before it are the caller's to
invent.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.types import Scope

Network = IPv4Network | IPv6Network

_SUBSCRIBER_BITS: Final = 64  # of an IPv6 address: what one subscriber is given (RFC 6177)


def client_address(scope: Scope) -> IPv4Address | IPv6Address | None:
    """None where nobody's address is known, or what is said is none."""
    try:
        address = ip_address((scope.get("client") or ("",))[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def subscriber(address: IPv4Address | IPv6Address) -> str:
    """One name for all the addresses of one caller."""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _SUBSCRIBER_BITS), strict=False))
    return str(address)


def known_caller(scope: Scope, *, proxies: Sequence[Network] | None) -> str | None:
    """A name for the caller's addresses. None where every caller looks alike, or one would lock all others out: until
    it is known which proxies there are (None), and where the address is a proxy's own."""
    address = client_address(scope)
    if proxies is None or address is None or any(address in network for network in proxies):
        return None
    return subscriber(address)


def believe_no_forwarded_header() -> None:
    """Before a replica's server starts. By default uvicorn believes X-Forwarded-For of whoever connects from this
    machine, and HAProxy does so for every caller: anyone could take any address."""
    os.environ["FORWARDED_ALLOW_IPS"] = ""
