"""The Serve application: three deployments, and the only place here with Ray's decorators.

    Ingress (CPU)  ──►  Gate (CPU)         authorize, sign, register
        │                 ▲
        └────►  Voice ────┘                redeem, report; a fraction of a GPU each, autoscaled

A revocation is pulled by every voice replica (`serve_app.voice.watch`); nothing depends on a push that a starting
replica might miss.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from ray import serve
from ray.serve.config import AutoscalingConfig, BackpressureConfig
from ray.serve.handle import DeploymentHandle

from consent_service.service import ConsentService
from consent_service.vault.sealing import load_node_secret
from serve_app.call_signing import CallSigner, SignedCall
from serve_app.config import AppConfig
from serve_app.gate.consent_api import GateConsentApi, SealedConsentApi
from serve_app.gate.consent_gate import ConsentGate
from serve_app.gate.protocol import Gate
from serve_app.handles import Callee, remote, until_answered
from serve_app.ingress.caller import believe_no_forwarded_header
from serve_app.ingress.edge import ignore_control_headers
from serve_app.ingress.http import build_http
from serve_app.memory import no_core_dumps
from serve_app.metrics import RayMetrics
from serve_app.start_failures import reasons_told
from serve_app.version import VERSION
from serve_app.voice.protocol import VoiceReplica
from serve_app.voice.watch import RevocationWatch
from serve_app.voice.worker import VoiceWorker
from serve_app.wiring import open_context
from speech.load import load_engine

if TYPE_CHECKING:
    from fastapi import FastAPI
    from ray.serve import Application

APP_NAME: Final = "vouch"


class GateDeployment:
    """`ConsentGate`, and beside it the `ConsentApi` of the routes, behind a handle."""

    def __init__(self, config: AppConfig) -> None:
        no_core_dumps()
        with reasons_told():
            service = ConsentService.open(config.consent)
            gate: Gate = ConsentGate(service)
            consents: SealedConsentApi = GateConsentApi(service)
        self._callee = Callee(call_signer(config)).offer(Gate, gate).offer(SealedConsentApi, consents)

    async def call(self, call: SignedCall) -> Any:
        return await self._callee.call(call)


def call_signer(config: AppConfig) -> CallSigner:
    """For the parts that hold the node secret."""
    return CallSigner(load_node_secret(config.consent.data_dir))


def gate_remote(handle: DeploymentHandle[Any], config: AppConfig) -> Gate:
    return remote(
        Gate, handle, call_signer(config), timeout_s=config.gate.timeout_s, lost="ledger_unavailable"
    )


def consents_remote(handle: DeploymentHandle[Any], config: AppConfig) -> SealedConsentApi:
    return remote(
        SealedConsentApi, handle, call_signer(config),
        timeout_s=config.gate.timeout_s, lost="ledger_unavailable",
    )  # fmt: skip


def voice_remote(handle: DeploymentHandle[Any], config: AppConfig) -> VoiceReplica:
    return remote(
        VoiceReplica, handle, call_signer(config),
        timeout_s=config.ingress.request_deadline_s, lost="engine_unavailable",
    )  # fmt: skip


class VoiceDeployment:
    """`VoiceWorker` behind a handle. Ready only when registered, watching and warm."""

    async def __init__(self, config: AppConfig, gate: DeploymentHandle[Any]) -> None:  # type: ignore[misc] # Serve awaits it
        no_core_dumps()
        metrics = RayMetrics()
        consent_gate = gate_remote(gate, config)
        watch = RevocationWatch(
            consent_gate,
            wait_s=config.gate.revocation_wait_s,
            stale_after_s=config.voice.stale_after_s,
            metrics=metrics,
        )
        with reasons_told():
            engine = await asyncio.to_thread(load_engine, config.engine)
            self._worker = VoiceWorker(
                engine,
                consent_gate,
                replica_id=serve.get_replica_context().replica_id.unique_id,
                node_secret=load_node_secret(config.consent.data_dir),
                metrics=metrics,
                watch=watch,
            )
            await until_answered(self._worker.start)
        replica: VoiceReplica = self._worker
        self._callee = Callee(call_signer(config)).offer(VoiceReplica, replica)

    async def call(self, call: SignedCall) -> Any:
        return await self._callee.call(call)

    async def stream(self, call: SignedCall) -> AsyncGenerator[Any]:
        async with aclosing(self._callee.stream(call)) as pieces:
            async for piece in pieces:
                yield piece

    async def check_health(self) -> None:
        """Asked by Serve, which replaces a replica that raises three times in a row. The gate and the ingress have no
        such method: nothing in them is past cure, and a gate without its ledger must stay, and refuse (I2)."""
        self._worker.check_health()

    async def __del__(self) -> None:
        if hasattr(self, "_worker"):
            await self._worker.close()


@serve.ingress()
class IngressDeployment:
    """The HTTP application, with the stamper in its process."""

    async def __init__(  # type: ignore[misc] # Serve awaits it
        self, config: AppConfig, gate: DeploymentHandle[Any], voice: DeploymentHandle[Any]
    ) -> None:
        no_core_dumps()
        ignore_control_headers()
        believe_no_forwarded_header()
        self._config = config
        metrics = RayMetrics()
        with reasons_told():
            self._context = await until_answered(
                lambda: open_context(
                    config,
                    gate_remote(gate, config),
                    consents_remote(gate, config),
                    voice_remote(voice, config),
                    metrics,
                )
            )

    def __serve_build_asgi_app__(self) -> FastAPI:
        return build_http(self._context, self._config.ingress, version=VERSION)


def build_app(config: AppConfig) -> Application:
    """The deployment graph. Pure: nothing starts until `serve.run`."""
    gate = serve.deployment(
        name="Gate",
        num_replicas=config.gate.replicas,
        max_ongoing_requests=config.gate.max_ongoing_requests,
        ray_actor_options={"num_cpus": config.gate.num_cpus},
    )(GateDeployment).bind(config)
    voice = serve.deployment(
        name="Voice",
        autoscaling_config=AutoscalingConfig(
            min_replicas=config.voice.min_replicas,
            max_replicas=config.voice.max_replicas,
            target_ongoing_requests=config.voice.target_ongoing_requests,
            upscale_delay_s=config.voice.upscale_delay_s,
            downscale_delay_s=config.voice.downscale_delay_s,
            look_back_period_s=config.voice.look_back_period_s,
            metrics_interval_s=config.voice.metrics_interval_s,
        ),
        max_ongoing_requests=config.voice.max_ongoing_requests,
        max_queued_requests=config.voice.max_queued_requests,
        backpressure_config=BackpressureConfig(status_code=503, retry_after_s=2),
        health_check_period_s=config.voice.health_check_period_s,
        graceful_shutdown_timeout_s=config.voice.graceful_shutdown_timeout_s,
        ray_actor_options={"num_cpus": config.voice.num_cpus, "num_gpus": config.voice.num_gpus},
    )(VoiceDeployment).bind(config, gate)
    ingress: Application = serve.deployment(
        name="Ingress",
        num_replicas=config.ingress.replicas,
        max_ongoing_requests=config.ingress.max_ongoing_requests,
        ray_actor_options={"num_cpus": config.ingress.num_cpus},
    )(IngressDeployment).bind(config, gate, voice)
    return ingress
