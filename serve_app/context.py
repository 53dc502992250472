"""What a route needs: the door, the gate, and the limits; and who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from provenance.trust import TrustContext
from provenance.verify import Verifier
from serve_app.config import IngressConfig
from serve_app.door import Door
from serve_app.errors import RequestRefused
from serve_app.remote import Remote


@dataclass(frozen=True, slots=True)
class Context:
    """Lives on `app.state.context`."""

    door: Door
    gate: Remote
    verifier: Verifier  # origin and integrity alone
    auditor: Verifier  # asks the ledger too; for callers who may see the clip's record
    trust: TrustContext
    limits: IngressConfig


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def bearer(request: Request) -> str:
    """The API key of `Authorization: Bearer …`. Raises RequestRefused unauthenticated."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise RequestRefused("unauthenticated", "send an API key as 'Authorization: Bearer …'")
    return key.strip()


Ctx = Annotated[Context, Depends(_context)]
ApiKey = Annotated[str, Depends(bearer)]
