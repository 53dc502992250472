"""Calls from one deployment to another. A refusal comes back as a value and leaves here as an exception.

Whatever goes wrong on the way to the gate is a refusal, never an "allow" (DESIGN I2).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from typing import Any, Final, Protocol

from foundation.errors import CodedError
from foundation.redact import type_and_place
from serve_app.errors import Refused, RequestRefused

log = logging.getLogger("vouch.serve")

_END: Final = object()


class Remote(Protocol):
    """Another deployment, by method name. Raises RequestRefused."""

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any: ...


class StreamingRemote(Remote, Protocol):
    """One that also answers piece by piece."""

    def stream(self, method: str, *args: Any) -> AsyncGenerator[Any]: ...


class Lost(RequestRefused):
    """The other side went away while it worked. Asking again, with a new grant, is safe: no audio has left."""


class HandleRemote:
    """A Serve handle as a `Remote`. `lost` is the code for a callee that died or did not answer in time; `slow`: how
    long the methods take, in seconds, that are waited for longer than `timeout_s`."""

    def __init__(
        self, handle: Any, *, timeout_s: float, lost: str, slow: Mapping[str, float] | None = None
    ) -> None:
        self._handle = handle
        self._timeout_s: Final = timeout_s
        self._lost: Final = lost
        self._slow: Final = dict(slow or {})

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return await self._ask(method, self._slow.get(method, self._timeout_s), *args, **kwargs)

    async def _ask(self, method: str, timeout_s: float, *args: Any, **kwargs: Any) -> Any:
        with self._refusals(method):
            async with asyncio.timeout(timeout_s):
                return _answer(await getattr(self._handle, method).remote(*args, **kwargs))

    async def _listen(self, method: str, *args: Any) -> AsyncGenerator[Any]:
        """Piece by piece; none may take longer than `timeout_s`. The callee ends when this is closed."""
        pieces = getattr(self._handle.options(stream=True), method).remote(*args)
        try:
            while True:
                with self._refusals(method):
                    async with asyncio.timeout(self._timeout_s):
                        piece = await anext(pieces, _END)
                if piece is _END:
                    return
                yield _answer(piece)
        finally:
            pieces.cancel()

    @contextlib.contextmanager
    def _refusals(self, method: str) -> Iterator[None]:
        """What goes wrong on the way, as a refusal."""
        from ray.exceptions import RayError
        from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RayServeException

        try:
            yield
        except BackPressureError:
            raise RequestRefused("overloaded", "every replica is busy; try again shortly") from None
        except TimeoutError:
            raise RequestRefused(self._lost, "no answer in time; nothing was released") from None
        except (DeploymentUnavailableError, RayServeException, RayError, ConnectionError) as exc:
            log.warning("call %s failed: %s", method, type(exc).__name__)
            raise Lost(self._lost, "the service is not reachable at the moment; try again") from None


def _answer(result: Any) -> Any:
    if isinstance(result, Refused):
        raise RequestRefused(result.code, result.message)
    return result


class FailClosed:
    """The gate as those see it who depend on its word: whatever it does that is not an answer is a refusal."""

    def __init__(self, gate: Remote) -> None:
        self._gate: Final = gate

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return await self._gate.call(method, *args, **kwargs)
        except RequestRefused as exc:
            if exc.code != "internal_error":
                raise
            raise gate_failed() from None
        except Exception as exc:  # noqa: BLE001 - fail closed, whatever it was
            log.error("gate.%s failed: %s", method, type_and_place(exc))  # noqa: TRY400 - a traceback may hold text
            raise gate_failed() from None


def gate_failed() -> RequestRefused:
    return RequestRefused("gate_failed", "the consent gate failed; nothing was released, try again shortly")


def refusals_as_values(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """For methods that other deployments call: errors of the rooms become `Refused`; the unexpected becomes
    `internal_error` without its text, which might hold what must not be logged."""

    @functools.wraps(method)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return await method(*args, **kwargs)
        except CodedError as exc:
            return Refused(exc.code, exc.message)
        except Exception as exc:  # noqa: BLE001 - fail closed, whatever it was
            log.error("%s failed: %s", method.__name__, type_and_place(exc))  # noqa: TRY400 - a traceback may hold text
            return Refused("internal_error", "an unexpected error; nothing was released")

    return guarded


def refusals_as_last(method: Callable[..., AsyncGenerator[Any]]) -> Callable[..., AsyncGenerator[Any]]:
    """The same for methods that answer piece by piece: a refusal is the last piece."""

    @functools.wraps(method)
    async def guarded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        try:
            async with contextlib.aclosing(method(*args, **kwargs)) as pieces:
                async for piece in pieces:
                    yield piece
        except CodedError as exc:
            yield Refused(exc.code, exc.message)
        except Exception as exc:  # noqa: BLE001 - as above
            log.error("%s failed: %s", method.__name__, type_and_place(exc))  # noqa: TRY400
            yield Refused("internal_error", "an unexpected error; nothing more was released")

    return guarded
