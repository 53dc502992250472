"""The application: the routes for voices, consents, audit and the person, and what stands around them.

`include_surface` puts the same routes and pages into any application; `build_app` is the consent service on its own.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Scope

from consent_service.http import errors, pages
from consent_service.http.config import ApiConfig
from consent_service.http.context import Surface
from consent_service.http.edge import UPLOADS, Edge, route_of
from consent_service.http.errors import ErrorBody
from consent_service.http.local import LocalConsentApi
from consent_service.http.metrics import ApiMetrics
from consent_service.http.openapi import describe
from consent_service.http.routes import audit, consents, keys, platform, subject, voices
from consent_service.http.routes.platform import Platform, Service
from consent_service.service import ConsentService
from foundation.errors import CodedError

_THREADS = 16
_ALLOWED = (
    "Authorization",
    "Content-Type",
    "Range",
    "If-Range",
    "X-Consent-Token",
    "X-Manifest-Length",
    "X-Request-Id",
)
_EXPOSED = (
    "Accept-Ranges", "Content-Range", "ETag", "Link", "Retry-After", "WWW-Authenticate", "X-Cache", "X-Clip-Id",
    "X-Disclosure", "X-Disclosure-Token", "X-Request-Id",
)  # fmt: skip


def new_app(title: str, summary: str, version: str) -> FastAPI:
    """An application whose errors have the one shape, and whose pages load nothing from anywhere else."""
    app = FastAPI(
        title=title,
        summary=summary,
        version=version,
        docs_url=None,
        redoc_url=None,
        responses={"4XX": {"model": ErrorBody}, "5XX": {"model": ErrorBody}},
    )
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    return app


def include_surface(app: FastAPI, surface: Surface) -> None:
    """The routes for keys, voices, consents, audit and the person, the person's page, and the documentation."""
    app.state.surface = surface
    for part in (keys, voices, consents, audit, subject, pages):
        app.include_router(part.router)


def allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Let the pages of these origins call (Fetch §3.2). Add it last: it stands outside the edge, whose answers a page
    may read too. No cookie is ever read, so no credentials are allowed."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "HEAD", "POST", "PUT"],
            allow_headers=list(_ALLOWED),
            expose_headers=list(_EXPOSED),
            max_age=600,
        )


def build_app(service: ConsentService, config: ApiConfig) -> FastAPI:
    """The consent service on its own. Closes the service when it shuts down."""
    api = LocalConsentApi(service, threads=_THREADS)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        api.close()
        follower.close()
        service.close()

    follower = service.gate.follow_revocations()
    metrics = ApiMetrics(partial(_certificate_ends, service))
    app = new_app("Vouch consent service", "May this voice be used, by whom, for what, until when?", "1")
    app.router.lifespan_context = lifespan
    app.state.platform = Platform(service, metrics, follower)
    include_surface(app, Surface(api))
    app.include_router(platform.router)

    def limit(path: str) -> int:
        return config.max_upload_bytes if UPLOADS.fullmatch(path) else config.max_body_bytes

    def count(scope: Scope, status: int, seconds: float) -> None:
        metrics.answered(route_of(scope), scope["method"], status, seconds)

    app.add_middleware(Edge, limit=limit, observe=count)
    allow_origins(app, config.cors_origins)
    errors.install(app)

    @app.get("/healthz", tags=["operations"])
    async def healthz() -> dict[str, str]:
        """The process is alive."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["operations"])
    def readyz(service: Service) -> dict[str, str]:
        """Ledger and keys answer; 503 otherwise."""
        service.ready()
        return {"status": "ready"}

    @app.get("/metrics", tags=["operations"], response_class=Response)
    def exposition() -> Response:
        """For Prometheus. No id, name or secret is a label."""
        return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    return app


def _certificate_ends(service: ConsentService) -> float:
    try:
        outlook = service.rotation.certificate_outlook()
    except CodedError:
        return math.nan  # the other series are still worth a scrape
    return math.nan if outlook is None else outlook.ends
