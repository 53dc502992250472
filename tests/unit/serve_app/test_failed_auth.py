"""An address that keeps sending wrong keys waits; nobody else does, and nobody can borrow another's address."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from pydantic import ValidationError

from serve_app.config import IngressConfig
from serve_app.errors import RequestRefused
from serve_app.ingress.anonymous import AnonymousRateLimiter
from serve_app.ingress.caller import believe_no_forwarded_header
from serve_app.ingress.edge import Edge
from serve_app.ingress.failed_auth import FailedAuthLimiter
from serve_app.ingress.http import build_http
from tests.unit.serve_app.house import House, code_of

WRONG = {"Authorization": "Bearer vouch_0000000000000000_x"}
PROXIES = ["10.0.0.0/30", "2001:db8:aaaa::1"]


def scope_of(peer: str | None, *forwarded: str, key: bool = True) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    headers += [(b"authorization", b"Bearer x")] if key else []
    client = None if peer is None else (peer, 1234)
    return {
        "type": "http", "method": "GET", "path": "/healthz", "headers": headers, "client": client,
        "query_string": b"", "scheme": "http",
    }  # fmt: skip


class Door:
    """The middlewares of the application, as `build_http` puts them, before a limiter of a single turn."""

    def __init__(self, house: House, proxies: list[str] | None) -> None:
        config = IngressConfig.model_validate({"trusted_proxies": proxies, "failures": 1})
        self.failures = FailedAuthLimiter(config)
        self.anonymous = AnonymousRateLimiter(burst=1, per_minute=0.001)
        self._app = build_http(house.context, config, version="0")
        self._seen: dict[str, Any] = {}
        # The innermost: what it sees is what every route sees.
        self._app.user_middleware.append(type(self._app.user_middleware[0])(self._looking))

    def _looking(self, app: Any) -> Any:
        async def look(scope: dict[str, Any], receive: Any, send: Any) -> None:
            self._seen = scope
            await app(scope, receive, send)

        return look

    def as_seen(self, scope: dict[str, Any]) -> dict[str, Any]:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(_: Any) -> None:
            return

        asyncio.run(self._app(scope, receive, send))
        return self._seen

    def fails(self, *scope: Any, **more: Any) -> None:
        self.failures.failed(self.as_seen(scope_of(*scope, **more)))

    def waits(self, *scope: Any, **more: Any) -> bool:
        return self.failures.wait_s(self.as_seen(scope_of(*scope, **more))) > 0

    def verifies(self, *scope: Any) -> bool:
        try:
            self.anonymous.acquire(self.as_seen(scope_of(*scope, key=False)))
        except RequestRefused:
            return False
        return True


def test_an_address_that_failed_waits_whatever_it_sends_and_no_other_does(house: House) -> None:
    config = IngressConfig(trusted_proxies=(), failures=2, failures_per_s=0.001)
    edge: Any = Edge(house.http, deadline_s=10, max_body_bytes=1000, failed_auth=FailedAuthLimiter(config))

    def ask(headers: dict[str, str]) -> Any:
        return house.run(house.asend("GET", "/v1/voices", app=edge, headers=headers))

    good = {"Authorization": f"Bearer {house.studio().keys['admin']}"}
    assert ask(good).status_code == 200
    assert [ask(WRONG).status_code for _ in range(2)] == [401, 401]
    answer = ask(good)
    assert code_of(answer) == "rate_limited"
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (429, True)
    assert ask({}).status_code == 401  # without a key nothing is guessed, and nothing counts


def test_where_callers_connect_directly_who_connects_is_who_counts(house: House) -> None:
    door = Door(house, [])
    door.fails("203.0.113.7", "198.51.100.1")
    assert door.waits("203.0.113.7", "192.0.2.9")
    assert not door.waits("203.0.113.8", "203.0.113.7")
    assert not door.waits("203.0.113.7", key=False)
    assert not door.waits(None)


def test_behind_proxies_of_ours_what_they_saw_counts_and_not_what_the_caller_wrote(house: House) -> None:
    door = Door(house, PROXIES)
    door.fails("10.0.0.1", "192.0.2.1, 203.0.113.7")
    assert door.waits("10.0.0.2", "198.51.100.1", "203.0.113.7")
    assert door.waits("2001:db8:aaaa::1", "203.0.113.7, 10.0.0.1")
    assert not door.waits("10.0.0.1", "203.0.113.7, 203.0.113.8")
    door.fails("203.0.113.99", "198.51.100.1")  # past the load balancer
    assert door.waits("203.0.113.99")
    assert not door.waits("10.0.0.1", "198.51.100.1")
    assert not door.waits("10.0.0.1", "not an address")


def test_a_subscriber_s_addresses_are_one(house: House) -> None:
    door = Door(house, [])
    door.fails("2001:db8:1:2::1")
    assert door.waits("2001:db8:1:2:ffff::9")
    assert not door.waits("2001:db8:1:3::1")
    door.fails("203.0.113.7")
    assert door.waits("::ffff:203.0.113.7")


@pytest.mark.parametrize("peer", ["10.0.0.1", "2001:db8::1"])
def test_until_it_is_known_which_proxies_there_are_nobody_waits_for_another(house: House, peer: str) -> None:
    door = Door(house, None)
    door.fails(peer)
    assert not door.waits(peer)


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8:aaaa::1"])
def test_behind_a_proxy_that_names_nobody_nobody_waits_for_another(house: House, peer: str) -> None:
    door = Door(house, PROXIES)
    door.fails(peer)
    assert not door.waits(peer)


def test_a_forwarded_address_is_believed_of_our_own_proxies_only(house: House) -> None:
    door = Door(house, ["10.0.0.1"])
    assert door.verifies("10.0.0.1", "192.0.2.1")
    assert door.verifies("10.0.0.1", "192.0.2.2")
    # What a caller wrote before the proxy did is not believed:
    assert not door.verifies("10.0.0.1", "192.0.2.9, 192.0.2.1")
    assert door.verifies("198.51.100.1", "192.0.2.3")
    assert not door.verifies("198.51.100.1", "192.0.2.4")


@pytest.mark.parametrize("proxies", [None, ["10.0.0.1"]])
def test_behind_a_proxy_that_names_nobody_anonymous_callers_share_their_turns(
    house: House, proxies: list[str] | None
) -> None:
    door = Door(house, proxies)
    assert door.verifies("10.0.0.1")
    assert not door.verifies("10.0.0.1")


def test_a_server_of_ray_s_believes_no_forwarded_header_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """HAProxy connects from this machine for every caller, and passes on what they wrote."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")
    believe_no_forwarded_header()
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["client"])

    config = uvicorn.Config(app)
    config.load()
    for peer in ("127.0.0.1", "::1"):
        asyncio.run(config.loaded_app(scope_of(peer, "192.0.2.9"), None, None))  # type: ignore[arg-type]
    assert seen == [("127.0.0.1", 1234), ("::1", 1234)]


@pytest.mark.parametrize("wrong", ["*", "10.0.0.1/8", "proxy.example.org"])
def test_what_names_no_proxy_s_address_is_refused_at_the_start(wrong: str) -> None:
    """`*` would believe what any caller writes."""
    with pytest.raises(ValidationError):
        IngressConfig.model_validate({"trusted_proxies": [wrong]})
