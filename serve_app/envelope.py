"""Calls between deployments, proven to come from a node of ours.

A Serve handle is no right: any job on the cluster can get one by name. So what crosses a handle is an envelope, sealed
with the node secret (HMAC-SHA256 over callee, method and arguments), and a deployment opens no other. Without this, a
job that holds API keys could register a recording as a clip of ours and keep it as a "designed" voice, or take samples
from a replica before they are marked.
"""

from __future__ import annotations

import hashlib
import hmac
import pickle
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from consent_service.errors import PermissionDenied
from serve_app.remote import HandleRemote

_CONTEXT: Final = b"vouch.call.v1"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One call: method, pickled arguments, proof."""

    method: str
    payload: bytes = field(repr=False)
    proof: bytes = field(repr=False)


class NodeSeal:
    """Seals and opens calls to one deployment. `secret`: `consent_service.vault.sealing.load_node_secret`."""

    def __init__(self, secret: bytes, callee: str, methods: Iterable[str] = ()) -> None:
        self._secret: Final = secret
        self._callee: Final = callee
        self._methods: Final = frozenset(methods)

    def seal(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Envelope:
        payload = pickle.dumps((args, kwargs))
        return Envelope(method, payload, self._proof(method, payload))

    def open(self, envelope: Envelope) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments. Raises PermissionDenied (not_one_of_ours) before anything is unpickled."""
        if not isinstance(envelope, Envelope) or envelope.method not in self._methods:
            raise _stranger()
        if not hmac.compare_digest(envelope.proof, self._proof(envelope.method, envelope.payload)):
            raise _stranger()
        args, kwargs = pickle.loads(envelope.payload)  # noqa: S301 - the proof says that we pickled it
        return args, kwargs

    def _proof(self, method: str, payload: bytes) -> bytes:
        message = b"\0".join(
            (_CONTEXT, self._callee.encode(), method.encode(), hashlib.sha256(payload).digest())
        )
        return hmac.digest(self._secret, message, hashlib.sha256)


class SealedRemote(HandleRemote):
    """A handle whose every call goes sealed through the callee's `ask`."""

    def __init__(
        self,
        handle: Any,
        seal: NodeSeal,
        *,
        timeout_s: float,
        lost: str,
        slow: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(handle, timeout_s=timeout_s, lost=lost, slow=slow)
        self._seal: Final = seal

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        timeout_s = self._slow.get(method, self._timeout_s)
        return await self._ask("ask", timeout_s, self._seal.seal(method, args, kwargs))

    async def stream(self, method: str, *args: Any) -> AsyncGenerator[Any]:
        async with aclosing(self._listen("ask_live", self._seal.seal(method, args, {}))) as pieces:
            async for piece in pieces:
                yield piece


def _stranger() -> PermissionDenied:
    return PermissionDenied("only the deployments of this service may call this", code="not_one_of_ours")
