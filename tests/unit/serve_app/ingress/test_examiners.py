"""Asking whose a clip is must cost nobody else their turn."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from serve_app.errors import RequestRefused
from serve_app.ingress.examiners import Examiners
from tests.unit.serve_app.house import House, Studio, code_of


class Slow:
    """A verifier that looks until the test says enough."""

    def __init__(self) -> None:
        self.began, self.enough = threading.Event(), threading.Event()

    def verify(self, data: bytes, sidecar: bytes | None = None) -> Any:
        self.began.set()
        assert self.enough.wait(30)
        return None


def test_speech_goes_on_while_strangers_have_clips_looked_at(house: House, studio: Studio) -> None:
    slow = Slow()

    async def crowd() -> int:
        asked = [
            asyncio.create_task(house.context.examiners.verify(slow, b""))  # type: ignore[arg-type]
            for _ in range(9)
        ]
        await asyncio.sleep(0)
        body = {"text": "I am still here.", "language": "en", "speaker": "Vivian", "purpose": "narration"}
        answer = await house.asend("POST", "/v1/custom-voice", json=body, key=studio.keys["narrator"])
        refused = await house.asend("POST", "/v1/verify", content=answer.content)
        assert (refused.status_code, code_of(refused)) == (503, "overloaded")
        assert refused.headers["retry-after"]
        slow.enough.set()
        await asyncio.gather(*asked)
        return answer.status_code

    assert house.run(crowd()) == 200


def test_who_hangs_up_does_not_make_room_before_the_work_has_ended() -> None:
    slow, examiners = Slow(), Examiners(at_once=1, waiting=0)

    async def hang_up_and_ask_again() -> None:
        first = asyncio.create_task(examiners.verify(slow, b""))  # type: ignore[arg-type]
        assert await asyncio.to_thread(slow.began.wait, 30)
        first.cancel()
        with pytest.raises(RequestRefused) as refused:
            await examiners.verify(slow, b"")  # type: ignore[arg-type]
        assert refused.value.code == "overloaded"
        slow.enough.set()

    asyncio.run(hang_up_and_ask_again())
