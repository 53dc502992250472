"""The outside of a Serve handle, for callees in this process: Ray is the edge of the world that a test replaces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from serve_app.call_signing import SignedCall
from serve_app.handles import Callee


class _Pieces:
    """As Serve's response to a streaming call."""

    def __init__(self, pieces: AsyncGenerator[Any]) -> None:
        self._pieces = pieces
        self.cancelled = False

    def __aiter__(self) -> _Pieces:
        return self

    async def __anext__(self) -> Any:
        return await anext(self._pieces)

    def cancel(self) -> None:
        self.cancelled = True


class HandleTo:
    """`handle.call.remote(…)` and `handle.options(stream=True).stream.remote(…)` reach the callee."""

    def __init__(self, callee: Callee) -> None:
        self.call, self.stream = self, _Streaming(callee)
        self._callee = callee

    def options(self, **_: Any) -> HandleTo:
        return self

    async def remote(self, call: SignedCall) -> Any:
        return await self._callee.call(call)


class _Streaming:
    def __init__(self, callee: Callee) -> None:
        self._callee = callee

    def remote(self, call: SignedCall) -> _Pieces:
        return _Pieces(self._callee.stream(call))


class BrokenHandle:
    """A handle with one outcome for every call: an error is raised, an event is waited for, all else is the answer."""

    def __init__(self, outcome: Any) -> None:
        self._outcome = outcome

    @property
    def call(self) -> BrokenHandle:
        return self

    async def remote(self, _: SignedCall) -> Any:
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        if isinstance(self._outcome, asyncio.Event):
            await self._outcome.wait()
        return self._outcome
