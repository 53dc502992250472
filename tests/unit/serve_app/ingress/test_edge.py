"""The edge: ids, bounds, one answer whatever happens behind it, and Ray's controls out of callers' reach."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from serve_app.errors import STATUS
from serve_app.ingress.edge import CONTROL_HEADERS, Edge, ignore_control_headers
from tests.unit.serve_app.house import House, code_of

SECRET = "words that nobody may read"


def through(house: House, app: Any, *, deadline_s: float = 10, limit: int = 1_000, **request: Any) -> Any:
    edge: Any = Edge(app, deadline_s=deadline_s, max_body_bytes=limit)
    return house.run(house.asend(request.pop("method", "GET"), "/", app=edge, **request))


async def echo_headers(scope: Scope, receive: Receive, send: Send) -> None:
    shown = b"\n".join(name + b": " + value for name, value in scope["headers"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": shown})


def test_rays_control_headers_do_not_pass(house: House) -> None:
    given = {name.decode(): "1" for name in CONTROL_HEADERS} | {"X-Request-Timeout-Seconds": "9999"}
    answer = through(house, echo_headers, headers=given)
    assert "x-request-timeout" not in answer.text
    assert "x-request-disconnect" not in answer.text


@pytest.mark.parametrize("given", ["", "has space", "x" * 65, "a\tb", "é", "a;b", "trailing\n"])
def test_a_request_id_that_could_do_harm_in_a_log_is_replaced(house: House, given: str) -> None:
    async def ask() -> list[Message]:
        sent: list[Message] = []
        scope = {"type": "http", "headers": [(b"x-request-id", given.encode())]}

        async def send(message: Message) -> None:
            sent.append(message)

        await Edge(echo_headers, deadline_s=5, max_body_bytes=10)(scope, None, send)  # type: ignore[arg-type]
        return sent

    start, body = house.run(ask())
    made = dict(start["headers"])[b"x-request-id"]
    assert len(made) == 16
    assert made in body["body"]
    assert body["body"].count(b"x-request-id") == 1


def test_a_request_id_of_the_callers_own_is_kept(house: House) -> None:
    assert "x-request-id: mine-1" in through(house, echo_headers, headers={"X-Request-Id": "mine-1"}).text
    refused = house.request("GET", "/v1/voices", headers={"X-Request-Id": "mine-1"})
    assert refused.json()["error"]["request_id"] == "mine-1"


def test_a_request_that_takes_too_long_is_ended(house: House) -> None:
    ended = asyncio.Event()

    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    answer = through(house, never, deadline_s=0.02)
    assert (answer.status_code, code_of(answer)) == (504, "deadline_exceeded")
    assert ended.is_set()


def test_a_response_that_fails_half_way_is_cut_and_never_completed(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError(SECRET)

    async def ask() -> list[Message]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        with pytest.raises(ConnectionAbortedError) as cut:
            edge = Edge(breaks, deadline_s=5, max_body_bytes=10)
            await edge({"type": "http", "headers": []}, None, send)  # type: ignore[arg-type]
        assert cut.value.__suppress_context__
        return sent

    sent = house.run(ask())
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert SECRET not in caplog.text


def test_an_unexpected_error_is_answered_and_logged_by_its_place_alone(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError(SECRET)

    with caplog.at_level(logging.DEBUG):
        answer = through(house, breaks)
    assert (answer.status_code, code_of(answer)) == (500, "internal_error")
    assert SECRET not in answer.text + caplog.text
    assert "ValueError at tests.unit.serve_app.ingress.test_edge:" in caplog.text


async def swallows(scope: Scope, receive: Receive, send: Send) -> None:
    """A framework that turns whatever a body raises into an answer of its own."""
    try:
        while (await receive()).get("more_body"):
            pass
    except Exception:
        await send({"type": "http.response.start", "status": 400, "headers": []})
        await send({"type": "http.response.body", "body": b"a page of its own"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"read"})


def test_a_body_past_the_bound_is_refused_whatever_the_framework_makes_of_it(house: House) -> None:
    async def pieces() -> Any:
        for _ in range(10):
            yield bytes(200)

    assert through(house, swallows, method="POST", content=bytes(1_000)).text == "read"
    for content in (bytes(1_001), pieces()):
        answer = through(house, swallows, method="POST", content=content)
        assert (answer.status_code, code_of(answer)) == (413, "upload_too_large")


def test_a_text_far_beyond_the_bound_is_not_read_into_memory(house: House) -> None:
    read = 0

    async def endless() -> Any:
        nonlocal read
        while True:
            read += 1
            yield bytes(100_000)

    headers = {"content-type": "application/json"}
    answer = house.request("POST", "/v1/voice-clone", key="k", content=endless(), headers=headers)
    assert (answer.status_code, code_of(answer)) == (413, "upload_too_large")
    assert read <= 25


def test_ray_is_deaf_to_control_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.serve._private import replica

    for name in ("parse_request_timeout_header", "parse_disconnect_disabled_header"):
        monkeypatch.setattr(replica, name, getattr(replica, name))
    hostile = {b"x-request-timeout-seconds": b"99999", b"x-request-disconnect-disabled": b"?1"}
    assert replica.parse_disconnect_disabled_header(hostile) is True, "without us, Ray listens"
    ignore_control_headers()
    assert replica.parse_request_timeout_header(hostile, 30.0) == 30.0
    assert replica.parse_disconnect_disabled_header(hostile) is False


@pytest.mark.parametrize("name", ["parse_request_timeout_header", "parse_disconnect_disabled_header"])
def test_a_ray_that_names_its_parsers_differently_does_not_start(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from ray.serve._private import replica

    other = {"parse_request_timeout_header", "parse_disconnect_disabled_header"} - {name}
    monkeypatch.setattr(replica, other.pop(), lambda *_: None)
    monkeypatch.delattr(replica, name)
    with pytest.raises(AttributeError, match=name):
        ignore_control_headers()


def test_the_deadline_of_the_configuration_is_the_one_that_counts(house: House) -> None:
    assert STATUS.of("deadline_exceeded") == 504
    assert house.config.ingress.request_deadline_s == 120
