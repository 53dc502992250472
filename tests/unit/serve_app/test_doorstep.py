"""An address that keeps sending wrong keys waits; nobody else does, and nobody can borrow another's address."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.config import IngressConfig
from serve_app.ingress.edge import Edge
from serve_app.ingress.failed_auth import Doorstep
from tests.unit.serve_app.house import House, code_of

WRONG = {"Authorization": "Bearer vouch_0000000000000000_x"}


def scope_of(peer: str | None, *forwarded: str, key: bool = True) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    headers += [(b"authorization", b"Bearer x")] if key else []
    return {"type": "http", "headers": headers, "client": None if peer is None else (peer, 1234)}


def strict(source: str) -> Doorstep:
    return Doorstep(IngressConfig.model_validate({"client_address": source, "failures": 1}))


def waits(doorstep: Doorstep, scope: dict[str, Any]) -> bool:
    return doorstep.wait_s(scope) > 0


def test_an_address_that_failed_waits_whatever_it_sends_and_no_other_does(house: House) -> None:
    config = IngressConfig(client_address="peer", failures=2, failures_per_s=0.001)
    edge: Any = Edge(house.http, deadline_s=10, max_body_bytes=1000, doorstep=Doorstep(config))

    def ask(headers: dict[str, str]) -> Any:
        return house.run(house.asend("GET", "/v1/voices", app=edge, headers=headers))

    good = {"Authorization": f"Bearer {house.studio().keys['admin']}"}
    assert ask(good).status_code == 200
    assert [ask(WRONG).status_code for _ in range(2)] == [401, 401]
    answer = ask(good)
    assert code_of(answer) == "rate_limited"
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (429, True)
    assert ask({}).status_code == 401  # without a key nothing is guessed, and nothing counts


def test_who_connects_is_who_counts(house: House) -> None:
    doorstep = strict("peer")
    doorstep.failed(scope_of("203.0.113.7", "198.51.100.1"))
    assert waits(doorstep, scope_of("203.0.113.7", "192.0.2.9"))
    assert not waits(doorstep, scope_of("203.0.113.8", "203.0.113.7"))
    assert not waits(doorstep, scope_of("203.0.113.7", key=False))
    assert not waits(doorstep, scope_of(None))


def test_behind_a_load_balancer_what_it_saw_counts_and_not_what_the_caller_wrote() -> None:
    doorstep = strict("forwarded")
    doorstep.failed(scope_of("10.0.0.1", "192.0.2.1, 203.0.113.7"))
    assert waits(doorstep, scope_of("10.0.0.2", "198.51.100.1", "203.0.113.7"))
    assert not waits(doorstep, scope_of("10.0.0.1", "203.0.113.7, 203.0.113.8"))
    doorstep.failed(scope_of("203.0.113.99"))  # past the load balancer
    assert waits(doorstep, scope_of("203.0.113.99"))
    assert not waits(doorstep, scope_of("10.0.0.1", "not an address"))


def test_a_subscriber_s_addresses_are_one() -> None:
    doorstep = strict("peer")
    doorstep.failed(scope_of("2001:db8:1:2::1"))
    assert waits(doorstep, scope_of("2001:db8:1:2:ffff::9"))
    assert not waits(doorstep, scope_of("2001:db8:1:3::1"))
    doorstep.failed(scope_of("203.0.113.7"))
    assert waits(doorstep, scope_of("::ffff:203.0.113.7"))


@pytest.mark.parametrize("peer", ["10.0.0.1", "2001:db8::1"])
def test_where_every_caller_looks_alike_nobody_waits_for_another(peer: str) -> None:
    doorstep = strict("hidden")
    doorstep.failed(scope_of(peer))
    assert not waits(doorstep, scope_of(peer))
