"""A replica says that it is past cure when it is, and at no other time (DESIGN I2)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from serve_app.app import GateDeployment, VoiceDeployment, build_app
from serve_app.errors import RequestRefused
from speech.errors import EngineUnavailable
from tests.unit.serve_app.house import House, Studio, code_of


def test_a_replica_whose_engine_is_lost_refuses_before_a_grant_is_used(house: House, studio: Studio) -> None:
    """Serve takes seconds to replace it: no audit entry is opened and no grant used up meanwhile."""

    async def play() -> list[Any]:
        engine = house.held_engine()
        parts = await house.parts(engine)
        engine.healthy = False
        answers = [
            await house.asend(
                "POST", "/v1/voice-clone", key=studio.keys["narrator"], app=parts.http,
                json={"text": "Nobody says this.", "language": "en", "voice_id": studio.voice.voice_id,
                      "purpose": "narration", "stream": stream},
            )
            for stream in (False, True)
        ]  # fmt: skip
        assert not engine.requests
        await parts.worker.close()
        return answers

    for answer in house.run(play()):
        assert (answer.status_code, code_of(answer)) == (503, "engine_unavailable")
        assert int(answer.headers["retry-after"]) > 0
    assert [entry for entry in studio.log() if entry["kind"].startswith("speech.")] == []


def test_a_replica_with_a_lost_engine_is_ill(house: House) -> None:
    async def play() -> None:
        engine = house.held_engine()
        parts = await house.parts(engine)
        parts.worker.check_health()
        engine.healthy = False
        with pytest.raises(EngineUnavailable):
            parts.worker.check_health()
        await parts.worker.close()

    house.run(play())


def test_a_replica_that_cannot_reach_the_ledger_is_not_ill(house: House) -> None:
    """Another in its place would not reach it either; and streams that need no consent go on."""

    async def play() -> None:
        lost = asyncio.Event()

        async def revocations(real: Any) -> Any:
            if lost.is_set():
                raise RequestRefused("ledger_unavailable", "gone")
            return await real()

        parts = await house.parts(house.held_engine(), seen_by_voice={"revocations": revocations})
        lost.set()
        while parts.watch.is_fresh:
            await asyncio.sleep(0.01)
        parts.worker.check_health()
        await parts.worker.close()

    house.run(play())


def test_serve_asks_the_voice_replicas_alone(house: House) -> None:
    """A gate that has lost its ledger stays up and refuses: a restart would only lose what it can still answer."""
    assert hasattr(VoiceDeployment, "check_health")
    assert not hasattr(GateDeployment, "check_health")
    config = house.config.model_copy(
        update={"voice": house.config.voice.model_copy(update={"health_check_period_s": 1.5})}
    )
    graph = build_app(config)
    assert not hasattr(graph._bound_deployment.func_or_class, "check_health")
    _, _, voice = graph._bound_deployment.init_args
    assert voice._bound_deployment._deployment_config.health_check_period_s == 1.5
