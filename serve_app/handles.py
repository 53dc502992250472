"""Typed calls from one deployment to another: the caller's stub and the callee are made from one protocol.

    gate = remote(Gate, handle, signer, timeout_s=10, lost="ledger_unavailable")    a Gate: mypy checks each call
    callee = Callee(signer).offer(Gate, consent_gate)                               answers its methods and no others

An `async def` of a protocol is one answer; a plain `def` that returns an AsyncGenerator answers piece by piece. A
refusal crosses as a value and is raised at the caller as RequestRefused. Whatever goes wrong on the way to the gate is
a refusal, never an "allow" (DESIGN I2). No text of an unexpected error crosses, nor is it logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, Self, TypeVar, cast

from foundation.errors import CodedError
from foundation.redact import type_and_place
from serve_app.call_signing import CallSigner, SignedCall, not_one_of_ours
from serve_app.errors import Refused, RequestRefused

log = logging.getLogger("vouch.serve")

P = TypeVar("P")  # a protocol
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

# For what examines recordings, or deletes: it takes the time it takes, and has limits of its own. This one, far above
# those, is for a callee that is lost without a trace.
UNTIL_DONE_S: Final = 6 * 3600.0

_TIME_LIMIT: Final = "__time_limit_s__"
_END: Final = object()
_NOT_YET: Final = frozenset({"ledger_unavailable", "overloaded"})


class PeerLost(RequestRefused):
    """The other side went away while it worked. Asking again, with a new grant, is safe: no audio has left."""


# the protocol ---------------------------------------------------------------------------------------------------------
def time_limit(seconds: float) -> Callable[[F], F]:
    """How long the answer of a protocol's method is waited for, in place of the caller's usual limit. A protocol of a
    lower room, which knows no handles, is refined by one that inherits from it and declares the limits."""

    def declare(method: F) -> F:
        setattr(method, _TIME_LIMIT, seconds)
        return method

    return declare


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a protocol."""

    protocol: str
    name: str
    in_pieces: bool
    time_limit_s: float | None  # of an answer, or of each piece; None: the caller's usual one

    def __str__(self) -> str:
        return f"{self.protocol}.{self.name}"


def methods_of(protocol: type) -> tuple[Method, ...]:
    """The public methods that a protocol declares, or inherits from another: what may be called, and nothing else."""
    functions = {
        name: function
        for base in reversed(protocol.__mro__)
        for name, function in vars(base).items()
        if not name.startswith("_") and inspect.isfunction(function)
    }
    return tuple(
        Method(
            protocol.__name__, name, not inspect.iscoroutinefunction(function), getattr(function, _TIME_LIMIT, None)
        )
        for name, function in functions.items()
    )  # fmt: skip


# the caller -----------------------------------------------------------------------------------------------------------
class Channel(Protocol):
    """Takes the calls of a stub to the other side. Raises RequestRefused."""

    async def call(self, method: Method, /, *args: Any, **kwargs: Any) -> Any: ...

    def stream(self, method: Method, /, *args: Any, **kwargs: Any) -> AsyncGenerator[Any]: ...


class _Stub:
    """Has the methods of a protocol, and each goes over the channel."""

    def __init__(self, protocol: type, channel: Channel) -> None:
        for method in methods_of(protocol):
            setattr(self, method.name, partial(channel.stream if method.in_pieces else channel.call, method))


def stub(protocol: type[P], channel: Channel) -> P:
    """What implements `protocol` at the other end of `channel`."""
    return cast(P, _Stub(protocol, channel))


def remote(protocol: type[P], handle: Any, signer: CallSigner, *, timeout_s: float, lost: str) -> P:
    """The implementation of `protocol` in the deployment behind a Serve handle, which offers it by a `Callee` in its
    methods `call` and `stream`.

    timeout_s: for an answer, or for each piece, where the protocol declares no other. lost: the code for a callee that
    died or did not answer in time.
    """
    return stub(protocol, SignedHandle(handle, signer, timeout_s=timeout_s, lost=lost))


def local(protocol: type[P], target: P) -> P:
    """An object in this process as if it were behind a handle: what it raises becomes a refusal."""
    return stub(protocol, _InProcess(target))


def fail_closed(protocol: type[P], target: P) -> P:
    """The gate as those see it who depend on its word: whatever it does that is not an answer is a refusal."""
    return stub(protocol, _FailClosed(target))


async def until_answered(ask: Callable[[], Awaitable[T]], *, pause_s: float = 1.0) -> T:
    """For a part that starts beside its callee: what `ask` returns once the callee answers in time. Raises
    RequestRefused for every other refusal. What calls this must be safe to begin anew."""
    while True:
        try:
            return await ask()
        except RequestRefused as exc:
            if exc.code not in _NOT_YET:
                raise
            log.warning("the start waits for an answer: %s", exc.code)
        await asyncio.sleep(pause_s)


class SignedHandle:
    """A Serve handle whose every call goes signed."""

    def __init__(self, handle: Any, signer: CallSigner, *, timeout_s: float, lost: str) -> None:
        self._handle: Final = handle
        self._signer: Final = signer
        self._timeout_s: Final = timeout_s
        self._lost: Final = lost

    async def call(self, method: Method, /, *args: Any, **kwargs: Any) -> Any:
        call = self._signer.sign(str(method), args, kwargs)
        with self._refusals(method):
            async with asyncio.timeout(method.time_limit_s or self._timeout_s):
                return _raise_refusal(await self._handle.call.remote(call))

    async def stream(self, method: Method, /, *args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        """The callee ends when this is closed."""
        pieces = self._handle.options(stream=True).stream.remote(self._signer.sign(str(method), args, kwargs))
        try:
            while True:
                with self._refusals(method):
                    async with asyncio.timeout(method.time_limit_s or self._timeout_s):
                        piece = await anext(pieces, _END)
                if piece is _END:
                    return
                yield _raise_refusal(piece)
        finally:
            pieces.cancel()

    @contextlib.contextmanager
    def _refusals(self, method: Method) -> Iterator[None]:
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
            raise PeerLost(self._lost, "the service is not reachable at the moment; try again") from None


class _InProcess:
    def __init__(self, target: object) -> None:
        self._target: Final = target

    async def call(self, method: Method, /, *args: Any, **kwargs: Any) -> Any:
        with _room_errors_as_refusals():
            return await getattr(self._target, method.name)(*args, **kwargs)

    async def stream(self, method: Method, /, *args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        with _room_errors_as_refusals():
            async with contextlib.aclosing(getattr(self._target, method.name)(*args, **kwargs)) as pieces:
                async for piece in pieces:
                    yield piece


@contextlib.contextmanager
def _room_errors_as_refusals() -> Iterator[None]:
    try:
        yield
    except CodedError as exc:
        # A new one, also for a refusal: a peer that the target lost is not lost to us.
        raise Refused.of(exc).as_error() from None


class _FailClosed:
    def __init__(self, target: object) -> None:
        self._target: Final = target

    async def call(self, method: Method, /, *args: Any, **kwargs: Any) -> Any:
        with _failures_as_refusals(method):
            return await getattr(self._target, method.name)(*args, **kwargs)

    async def stream(self, method: Method, /, *args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        with _failures_as_refusals(method):
            async with contextlib.aclosing(getattr(self._target, method.name)(*args, **kwargs)) as pieces:
                async for piece in pieces:
                    yield piece


@contextlib.contextmanager
def _failures_as_refusals(method: Method) -> Iterator[None]:
    try:
        yield
    except RequestRefused as exc:
        if exc.code != "internal_error":
            raise
        raise gate_failed() from None
    except Exception as exc:  # noqa: BLE001 - fail closed, whatever it was
        log.error("%s failed: %s", method, type_and_place(exc))  # noqa: TRY400 - a traceback may hold text
        raise gate_failed() from None


def gate_failed() -> RequestRefused:
    return RequestRefused("gate_failed", "the consent gate failed; nothing was released, try again shortly")


# the callee -----------------------------------------------------------------------------------------------------------
class Callee:
    """In a deployment: opens signed calls and answers them from what was offered. Each answer is a value or `Refused`;
    no error is raised across the handle."""

    def __init__(self, signer: CallSigner) -> None:
        self._signer: Final = signer
        self._offered: Final[dict[str, tuple[Method, Callable[..., Any]]]] = {}

    def offer(self, protocol: type[P], implementation: P) -> Self:
        """Let callers call the methods of `protocol`. Raises AttributeError when one is not implemented."""
        for method in methods_of(protocol):
            self._offered[str(method)] = method, getattr(implementation, method.name)
        return self

    async def call(self, call: SignedCall) -> Any:
        try:
            function, args, kwargs = self._open(call, in_pieces=False)
            return await function(*args, **kwargs)
        except Exception as exc:  # noqa: BLE001 - fail closed, whatever it was
            return _refused(exc)

    async def stream(self, call: SignedCall) -> AsyncGenerator[Any]:
        """A refusal is the last piece."""
        try:
            function, args, kwargs = self._open(call, in_pieces=True)
            async with contextlib.aclosing(function(*args, **kwargs)) as pieces:
                async for piece in pieces:
                    yield piece
        except Exception as exc:  # noqa: BLE001 - as above
            yield _refused(exc)

    def _open(
        self, call: SignedCall, *, in_pieces: bool
    ) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        """Raises PermissionDenied (not_one_of_ours) before anything is unpickled."""
        if not isinstance(call, SignedCall) or call.method not in self._offered:
            raise not_one_of_ours()
        method, function = self._offered[call.method]
        if method.in_pieces is not in_pieces:
            raise not_one_of_ours()
        return function, *self._signer.open(call)


def _raise_refusal(answer: Any) -> Any:
    if isinstance(answer, Refused):
        raise answer.as_error()
    return answer


def _refused(exc: Exception) -> Refused:
    """Errors of the rooms keep code and message; the unexpected becomes `internal_error` without its text, which might
    hold what must not be logged."""
    if isinstance(exc, CodedError):
        return Refused.of(exc)
    log.error("a call failed: %s", type_and_place(exc))
    return Refused("internal_error", "an unexpected error; nothing was released")
