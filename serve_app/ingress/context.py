"""What a route of this door needs: the clips, the gate, the verifiers, and the limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from consent_service.http.consent_api import ConsentApi
from consent_service.http.context import ApiKey, Caller, OptionalKey
from provenance.trust import TrustContext
from provenance.verify import Verifier
from serve_app.clips.service import ClipService
from serve_app.config import IngressConfig
from serve_app.gate.protocol import Gate
from serve_app.ingress.anonymous import AnonymousRateLimiter
from serve_app.ingress.examiners import Examiners

__all__ = ["ApiKey", "Caller", "Context", "Ctx", "OptionalKey"]


@dataclass(frozen=True, slots=True)
class Context:
    """Lives on `app.state.context`."""

    clips: ClipService
    gate: Gate
    consents: ConsentApi  # keys, voices, consents, audit and the person, over the gate
    verifier: Verifier  # origin and integrity alone
    auditor: Verifier  # asks the ledger too; for callers who may see the clip's record
    trust: TrustContext
    limits: IngressConfig
    examiners: Examiners = field(default_factory=Examiners)
    anonymous: AnonymousRateLimiter = field(default_factory=AnonymousRateLimiter)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Ctx = Annotated[Context, Depends(_context)]
