"""The application: routes, error shapes, edge, health and metrics around one open `ConsentService`."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from consent_service.http import errors
from consent_service.http.caller import Context, Service
from consent_service.http.config import ApiConfig
from consent_service.http.edge import Edge
from consent_service.http.errors import ErrorBody
from consent_service.http.metrics import ApiMetrics
from consent_service.http.routes import audit, clips, consents, keys, people, voices
from consent_service.service import ConsentService
from foundation.errors import CodedError


def build_app(service: ConsentService, config: ApiConfig) -> FastAPI:
    """Closes the service when it shuts down."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        follower.close()
        service.close()

    follower = service.gate.follow_revocations()
    metrics = ApiMetrics(partial(_leaf_ends, service))
    app = FastAPI(
        title="Vouch consent service",
        summary="May this voice be used, by whom, for what, until when?",
        version="1",
        lifespan=lifespan,
        redoc_url=None,
        responses={"4XX": {"model": ErrorBody}, "5XX": {"model": ErrorBody}},
    )
    app.state.context = Context(service, config, metrics, follower)
    for part in (keys, voices, consents, clips, audit, people):
        app.include_router(part.router)
    app.add_middleware(
        Edge, metrics=metrics, max_body=config.max_body_bytes, max_upload=config.max_upload_bytes
    )
    app.add_exception_handler(CodedError, errors.refused)
    app.add_exception_handler(RequestValidationError, errors.invalid)
    app.add_exception_handler(HTTPException, errors.http)

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


def _leaf_ends(service: ConsentService) -> float:
    try:
        outlook = service.rotation.certificate_outlook()
    except CodedError:
        return math.nan  # the other series are still worth a scrape
    return math.nan if outlook is None else outlook.ends
