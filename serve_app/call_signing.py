"""Calls between deployments, proven to come from a node of ours.

A Serve handle is no right: any job on the cluster can get one by name. So what crosses a handle is a call signed with
the node secret (HMAC-SHA256, RFC 2104, over method and arguments), and a deployment answers no other. Without this, a
job that holds API keys could register a recording as a clip of ours and keep it as a "designed" voice, or take samples
from a replica before they are marked. Signing hides nothing: the arguments are readable to Ray.
"""

from __future__ import annotations

import hashlib
import hmac
import pickle
from dataclasses import dataclass, field
from typing import Any, Final

from consent_service.errors import PermissionDenied

_CONTEXT: Final = b"vouch.call.v2"


@dataclass(frozen=True, slots=True)
class SignedCall:
    """One call: the method as `Protocol.method`, pickled arguments, signature."""

    method: str
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)


class CallSigner:
    """Signs calls, and opens those that are signed. secret: `consent_service.vault.sealing.load_node_secret`."""

    def __init__(self, secret: bytes) -> None:
        self._secret: Final = secret

    def sign(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SignedCall:
        payload = pickle.dumps((args, kwargs))
        return SignedCall(method, payload, self._signature(method, payload))

    def open(self, call: SignedCall) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments. Raises PermissionDenied (not_one_of_ours) before anything is unpickled."""
        if not hmac.compare_digest(call.signature, self._signature(call.method, call.payload)):
            raise not_one_of_ours()
        args, kwargs = pickle.loads(call.payload)  # noqa: S301 - the signature says that we pickled it
        return args, kwargs

    def _signature(self, method: str, payload: bytes) -> bytes:
        message = b"\0".join((_CONTEXT, method.encode(), hashlib.sha256(payload).digest()))
        return hmac.digest(self._secret, message, hashlib.sha256)


def not_one_of_ours() -> PermissionDenied:
    return PermissionDenied("only the deployments of this service may call this", code="not_one_of_ours")
