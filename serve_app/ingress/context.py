"""What a route needs: the clips, the gate, and the limits; and who is asking."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from provenance.trust import TrustContext
from provenance.verify import Verifier
from serve_app.clips.service import ClipService
from serve_app.config import IngressConfig
from serve_app.errors import RequestRefused
from serve_app.gate.protocol import Gate
from serve_app.ingress.anonymous import AnonymousRateLimiter
from serve_app.ingress.examiners import Examiners


@dataclass(frozen=True, slots=True)
class Context:
    """Lives on `app.state.context`."""

    clips: ClipService
    gate: Gate
    verifier: Verifier  # origin and integrity alone
    auditor: Verifier  # asks the ledger too; for callers who may see the clip's record
    trust: TrustContext
    limits: IngressConfig
    examiners: Examiners = field(default_factory=Examiners)
    anonymous: AnonymousRateLimiter = field(default_factory=AnonymousRateLimiter)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


_scheme = HTTPBearer(auto_error=False, description="An API key; `vouch key create` makes one.")


def optional_key(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)]) -> str | None:
    """The API key of `Authorization: Bearer …`, if one was sent."""
    return given.credentials.strip() or None if given is not None else None


def bearer(key: Annotated[str | None, Depends(optional_key)]) -> str:
    """The API key. Raises RequestRefused unauthenticated."""
    if key is None:
        raise RequestRefused("unauthenticated", "send an API key as 'Authorization: Bearer …'")
    return key


Ctx = Annotated[Context, Depends(_context)]
ApiKey = Annotated[str, Depends(bearer)]
OptionalKey = Annotated[str | None, Depends(optional_key)]
