"""Puts the parts of the ingress together, for a Serve replica and for a process without Ray alike."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from consent_service.service import ConsentService
from consent_service.vault.sealing import load_node_secret
from provenance.profiles.profile import load_profile
from provenance.stamp import Stamper
from provenance.trust import TrustContext
from provenance.verify import Verifier
from serve_app.clips.service import ClipService
from serve_app.clips.store import ClipStore
from serve_app.config import AppConfig
from serve_app.gate.client import BlockingGateClient
from serve_app.gate.consent_api import GateConsentApi, SealedConsentApi, consent_api
from serve_app.gate.consent_gate import ConsentGate
from serve_app.gate.protocol import Gate
from serve_app.handles import fail_closed, local
from serve_app.ingress.anonymous import AnonymousRateLimiter
from serve_app.ingress.context import Context
from serve_app.memory import no_core_dumps
from serve_app.metrics import Metrics, PrometheusMetrics
from serve_app.version import VERSION
from serve_app.voice.protocol import VoiceReplica
from serve_app.voice.watch import RevocationWatch
from serve_app.voice.worker import VoiceWorker
from speech.load import load_engine


async def open_context(
    config: AppConfig, gate: Gate, consents: SealedConsentApi, voice: VoiceReplica, metrics: Metrics
) -> Context:
    """Ask the gate for what a stamper and a verifier need, and warm the watermark up."""
    gate = fail_closed(Gate, gate)
    client = await BlockingGateClient.connect(gate, load_node_secret(config.consent.data_dir))
    anchor = await gate.trust_anchor()
    await gate.register_store(config.clips)  # before any clip lies in it
    stamper = Stamper(client)
    await asyncio.to_thread(stamper.warm_up)
    clips = ClipService(
        gate,
        voice,
        stamper,
        ClipStore(config.clips),
        metrics,
        provider=config.consent.provider,
        version=VERSION,
        profile=load_profile(config.consent.disclosure_profile),
    )
    limits = config.ingress
    return Context(
        clips,
        gate,
        consent_api(fail_closed(SealedConsentApi, consents)),
        Verifier(anchor),
        Verifier(anchor, client),
        TrustContext(anchor),
        limits,
        anonymous=AnonymousRateLimiter(limits.anonymous_checks, limits.anonymous_checks_per_minute),
    )


@asynccontextmanager
async def in_process(
    config: AppConfig, service: ConsentService, metrics: Metrics | None = None
) -> AsyncIterator[Context]:
    """The online door without Ray: the same gate, the same worker, the same stamper, in this process.

    For one clip from the command line, and for tests. `service` stays the caller's to close.
    """
    no_core_dumps()
    gate = local(Gate, ConsentGate(service))
    api = GateConsentApi(service)
    metrics = metrics or PrometheusMetrics()
    watch = RevocationWatch(
        gate, wait_s=config.gate.revocation_wait_s, stale_after_s=config.voice.stale_after_s, metrics=metrics
    )
    worker = VoiceWorker(
        load_engine(config.engine),
        gate,
        replica_id=f"local-{secrets.token_hex(8)}",
        node_secret=load_node_secret(config.consent.data_dir),
        metrics=metrics,
        watch=watch,
    )
    try:
        await worker.start()
        consents = local(SealedConsentApi, api)
        yield await open_context(config, gate, consents, local(VoiceReplica, worker), metrics)
    finally:
        await worker.close()
        await asyncio.to_thread(api.close)
