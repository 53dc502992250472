"""Another try where a refusal says that one is worth it: HTTP's Retry-After, or a code to which
`consent_service.http.errors.retry_after_s` gives one.

On a slow machine the ledger, the examiner or the knowledge of revocations may be late. Nothing is released then (fail
closed), and a command asks again. Every other refusal is an answer, and is never asked about twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import httpx

from consent_service.http.errors import retry_after_s
from foundation.errors import CodedError
from serve_app.errors import STATUS

T = TypeVar("T")
Tell = Callable[[str], object]

TRIES: Final = 60
_PROXY_WAIT_S: Final = 2.0


def answer_to(ask: Callable[[], httpx.Response], tell: Tell, *, tries: int = TRIES) -> httpx.Response:
    """What the service answers, after at most `tries` tries."""
    answer = ask()
    for _ in range(tries - 1):
        if (wait_s := _wait_of(answer)) is None:
            break
        tell(_line(f"HTTP {answer.status_code}", wait_s))
        time.sleep(wait_s)
        answer = ask()
    return answer


def result_of(call: Callable[[], T], tell: Tell, *, tries: int = TRIES) -> T:
    """What `call` returns; it must be safe to call again. Raises what it raises."""
    for _ in range(tries - 1):
        try:
            return call()
        except Exception as exc:  # noqa: BLE001 - raised again below unless its code says to wait
            wait_s = _pause_after(exc)
            tell(_line(str(exc), wait_s))
        time.sleep(wait_s)
    return call()


async def awaited(
    ask: Callable[[], Awaitable[T]], tell: Tell, *, tries: int = TRIES, final: frozenset[str] = frozenset()
) -> T:
    """The same for a coroutine function. `final`: codes that no other try can change here."""
    for _ in range(tries - 1):
        try:
            return await ask()
        except Exception as exc:  # noqa: BLE001 - raised again below unless its code says to wait
            wait_s = _pause_after(exc, final)
            tell(_line(str(exc), wait_s))
        await asyncio.sleep(wait_s)
    return await ask()


def _wait_of(answer: httpx.Response) -> float | None:
    """Seconds; None: another try would not change the answer."""
    told = answer.headers.get("retry-after", "")
    if told.isdigit():
        return float(told)
    is_ours = "json" in answer.headers.get("content-type", "")
    # The proxy has no replica that answers at this moment.
    return _PROXY_WAIT_S if answer.status_code in (502, 503, 504) and not is_ours else None


def _pause_after(exc: Exception, final: frozenset[str] = frozenset()) -> float:
    """Seconds. Raises `exc` where another try would not help."""
    if not isinstance(exc, CodedError) or exc.code in final or (wait_s := retry_after_s(exc, STATUS)) <= 0.0:
        raise exc
    return wait_s


def _line(why: str, wait_s: float) -> str:
    return f"the machine is slow ({why}); trying again in {wait_s:.0f} s"
