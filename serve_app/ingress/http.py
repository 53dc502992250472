"""HTTP: parse at the edge, ask the service, answer in one shape. No decision is made here."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from provenance.errors import ProvenanceError
from serve_app.config import IngressConfig
from serve_app.errors import RequestRefused
from serve_app.ingress import administration, clip_routes, disclosures, speech_routes
from serve_app.ingress.context import Context
from serve_app.ingress.edge import Edge
from serve_app.ingress.failed_auth import FailedAuthLimiter
from serve_app.ingress.openapi import describe
from serve_app.ingress.schemas import ErrorBody
from speech.errors import SpeechError


def build_http(context: Context, config: IngressConfig, *, version: str) -> FastAPI:
    """The FastAPI application around a `ClipService`. Testable without Ray."""
    app = FastAPI(
        title="Vouch",
        version=version,
        summary="Consent-gated speech: a cloned voice speaks only under a live, recorded consent.",
        docs_url="/docs",
        redoc_url=None,
        responses={"4XX": {"model": ErrorBody}, "5XX": {"model": ErrorBody}},
    )
    app.state.context = context
    app.include_router(speech_routes.router)
    app.include_router(clip_routes.router)
    app.include_router(disclosures.router)
    app.include_router(administration.router)
    # What no handler expects ends there too: Starlette's own last handler would hand the traceback to the server's log.
    app.add_middleware(
        Edge,
        deadline_s=config.request_deadline_s,
        max_body_bytes=config.max_upload_bytes,
        failed_auth=FailedAuthLimiter(config),
    )
    if config.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(map(str, config.trusted_proxies)))

    @app.get("/healthz", tags=["operations"])
    async def healthz() -> dict[str, str]:
        """The process is alive."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["operations"])
    async def readyz() -> dict[str, Any]:
        """Gate and voice replicas answer; 503 otherwise."""
        await context.gate.trust_anchor()
        info = await context.clips.engine_info()
        return {"status": "ready", "engine": info.name, "model": info.model, "is_clone": info.is_clone}

    app.add_exception_handler(RequestRefused, _refused)
    app.add_exception_handler(SpeechError, _refused)
    app.add_exception_handler(ProvenanceError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    return app


def _request_id(request: Request) -> str:
    return request.headers.get("x-request-id", "")


async def _refused(request: Request, exc: Exception) -> JSONResponse:
    refused = exc if isinstance(exc, RequestRefused) else RequestRefused(exc.code, exc.message)  # type: ignore[attr-defined]
    return JSONResponse(
        refused.body(_request_id(request)), status_code=refused.status, headers=refused.headers()
    )


async def _invalid(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - registered for this class alone
    first = exc.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    broken = first["type"] == "json_invalid"
    code, message = (
        ("json_invalid", "the body is not JSON")
        if broken
        else ("request_invalid", f"{place}: {first['msg']}")
    )
    return await _refused(request, RequestRefused(code, message, param=place or None))


async def _http(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)  # noqa: S101 - registered for this class alone
    code = {404: "not_found", 405: "method_not_allowed"}.get(exc.status_code, "request_invalid")
    response = await _refused(request, RequestRefused(code, str(exc.detail)))
    response.status_code = exc.status_code
    response.headers.update(exc.headers or {})
    return response
