"""A withdrawal drops a voice's prompts; nothing that was redeemed just before makes new ones (DESIGN I5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from serve_app.errors import RequestRefused
from speech.engine import SpeechRequest
from tests.unit.serve_app.house import House, Lent, Studio


class Noted(Lent):
    """Notes what the engine is asked to speak."""

    def __init__(self, engine: Any) -> None:
        super().__init__(engine)
        self.asked: list[SpeechRequest] = []
        speak = self.start

        def start(request: SpeechRequest) -> Any:
            self.asked.append(request)
            return speak(request)

        self.start = start


def test_the_engine_never_sees_a_voice_revoked_between_redemption_and_speech(
    house: House, studio: Studio
) -> None:
    engine = Noted(house.engine)

    async def ask() -> None:
        async def revoked_meanwhile(real: Callable[[], Awaitable[Any]]) -> Any:
            redeemed = await real()
            await asyncio.to_thread(studio.revoke)
            async with asyncio.timeout(20):
                while not parts.watch.revoked(redeemed.grant):
                    await asyncio.sleep(0.01)
            return redeemed

        parts = await house.parts(engine, seen_by_voice={"redeem": revoked_meanwhile})
        try:
            await parts.clips.create_clip(studio.say("Not any more."))
        finally:
            await parts.worker.close()

    with pytest.raises(RequestRefused) as refused:
        house.run(ask())
    assert refused.value.code == "consent_revoked"
    assert engine.asked == []
    assert studio.endings()[-1] == ("cut", "consent_revoked")
