"""A refusal that says when to come back is asked about again; every other refusal is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import TypeVar

import httpx
import pytest

from serve_app.errors import RequestRefused
from vouch import retrying
from vouch.retrying import answer_to, awaited, result_of

T = TypeVar("T")


@pytest.fixture(autouse=True)
def paused(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, in seconds; none is waited for."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    # In this module alone: threads that other tests left behind pause, too.
    monkeypatch.setattr(retrying, "time", SimpleNamespace(sleep=pauses.append))
    monkeypatch.setattr(retrying, "asyncio", SimpleNamespace(sleep=pause))
    return pauses


def in_turn(*outcomes: T | Exception) -> Callable[[], T]:
    left = iter(outcomes)

    def call() -> T:
        outcome = next(left)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return call


def late(code: str = "revocations_unknown") -> RequestRefused:
    return RequestRefused(code, "late")


def answer(status: int, code: str = "", **headers: str) -> httpx.Response:
    return httpx.Response(
        status, json={"error": {"code": code}}, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def test_an_answer_that_says_when_to_come_back_is_asked_for_again(paused: list[float]) -> None:
    told: list[str] = []
    ask = in_turn(answer(503, "revocations_unknown", retry_after="3"), answer(200))
    assert answer_to(ask, told.append).status_code == 200
    assert paused == [3.0]
    assert "slow" in told[0]


@pytest.mark.parametrize(
    "refusal", [answer(403, "consent_revoked"), answer(404, "voice_unknown"), answer(503, "vault_error")]
)
def test_a_refusal_for_its_own_reason_is_asked_for_once(refusal: httpx.Response, paused: list[float]) -> None:
    assert answer_to(in_turn(refusal), print) is refusal
    assert paused == []


def test_a_proxy_without_a_replica_is_asked_again() -> None:
    gone = httpx.Response(503, text="no server", headers={"content-type": "text/html"})
    assert answer_to(in_turn(gone, answer(200)), print).status_code == 200


def test_the_last_try_is_the_answer() -> None:
    last = answer(503, "overloaded", retry_after="1")
    assert answer_to(in_turn(answer(503, "overloaded", retry_after="1"), last), print, tries=2) is last


def test_a_call_is_tried_again_and_awaited_likewise(paused: list[float]) -> None:
    assert result_of(in_turn(late("examination_unavailable"), "done"), print) == "done"
    call = in_turn(late(), late(), "done")

    async def ask() -> str:
        return call()

    assert asyncio.run(awaited(ask, print)) == "done"
    assert paused == [5.0, 1.0, 1.0]


def test_what_no_try_changes_is_raised_at_once(paused: list[float]) -> None:
    with pytest.raises(RequestRefused, match="late"):
        result_of(in_turn(late("consent_revoked")), print)
    with pytest.raises(ZeroDivisionError):
        result_of(in_turn(ZeroDivisionError()), print)

    async def ask() -> None:
        raise late("engine_unavailable")

    with pytest.raises(RequestRefused):
        asyncio.run(awaited(ask, print, final=frozenset({"engine_unavailable"})))
    assert paused == []
