"""What a route needs: the service, the metrics, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from consent_service.errors import Unauthenticated
from consent_service.gate.follower import RevocationFollower
from consent_service.http.config import ApiConfig
from consent_service.http.metrics import ApiMetrics
from consent_service.models import Principal
from consent_service.service import ConsentService


@dataclass(frozen=True, slots=True)
class Context:
    """Lives on `app.state.context`."""

    service: ConsentService
    config: ApiConfig
    metrics: ApiMetrics
    follower: RevocationFollower


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _service(ctx: Annotated[Context, Depends(_context)]) -> ConsentService:
    return ctx.service


def _source(request: Request) -> str | None:
    return None if request.client is None else request.client.host


_scheme = HTTPBearer(auto_error=False, description="An API key, or the key of a person's session.")

Ctx = Annotated[Context, Depends(_context)]
Service = Annotated[ConsentService, Depends(_service)]
Source = Annotated[str | None, Depends(_source)]


def _caller(
    service: Service, source: Source, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)]
) -> Principal:
    """Raises Unauthenticated or RateLimited."""
    if given is None:
        raise Unauthenticated("send an API key as 'Authorization: Bearer …'")
    return service.authenticate(given.credentials.strip(), source=source)


Caller = Annotated[Principal, Depends(_caller)]
