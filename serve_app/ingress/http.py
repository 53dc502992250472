"""The HTTP application of the online door: the surface that the consent service has too, and speech, clips and
verification beside it. Parse at the edge, ask, answer in one shape: no decision is made here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from consent_service.http import errors
from consent_service.http.app import allow_origins, include_surface, new_app
from consent_service.http.consent_api import Caller
from consent_service.http.context import Surface
from serve_app.config import IngressConfig
from serve_app.errors import STATUS
from serve_app.ingress import clip_routes, disclosures, speech_routes
from serve_app.ingress.caller import known_caller
from serve_app.ingress.context import Context
from serve_app.ingress.edge import Edge
from serve_app.ingress.failed_auth import FailedAuthLimiter


def build_http(context: Context, config: IngressConfig, *, version: str) -> FastAPI:
    """The FastAPI application around a `ClipService`. Testable without Ray."""

    async def presets() -> Sequence[str]:
        return (await context.clips.engine_info()).speakers

    async def find_clip(caller: Caller, clip_id: str) -> bytes | None:
        return (await context.clips.fetch(caller.api_key, clip_id)).audio

    app = new_app(
        "Vouch", "Consent-gated speech: a cloned voice speaks only under a live, recorded consent.", version
    )
    app.state.context = context
    for part in (speech_routes, clip_routes, disclosures):
        app.include_router(part.router)
    include_surface(
        app,
        Surface(context.consents, presets, find_clip, partial(known_caller, proxies=config.trusted_proxies)),
    )
    # What no handler expects ends there too: Starlette's own last handler would hand the traceback to the server's log.
    app.add_middleware(
        Edge,
        deadline_s=config.request_deadline_s,
        max_body_bytes=config.max_upload_bytes,
        failed_auth=FailedAuthLimiter(config),
    )
    if config.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(map(str, config.trusted_proxies)))
    allow_origins(app, config.cors_origins)
    errors.install(app, STATUS)

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

    return app
