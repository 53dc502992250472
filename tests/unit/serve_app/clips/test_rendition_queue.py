"""Making a clip in another form costs nobody else their turn, and hanging up frees nobody's place."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from provenance.errors import StampFailed
from provenance.formats.delivery import Delivery, delivery
from serve_app.clips import renditions
from serve_app.clips.publisher import Fetched
from serve_app.clips.service import ClipService
from tests.unit.serve_app.clips.test_renditions import Transcoding, clip, fetch
from tests.unit.serve_app.house import House, Studio, code_of

__all__ = ["clip"]  # a fixture


class Slow(Transcoding):
    """It is at work until the test says enough; `begun` is released each time that it begins."""

    def __init__(self, house: House, then: Exception | None = None) -> None:
        self._then = then
        self.begun, self.enough = threading.Semaphore(0), threading.Event()
        super().__init__(house, self._wait)

    def _wait(self) -> None:
        self.begun.release()
        assert self.enough.wait(30)
        if self._then is not None:
            raise self._then


async def hung_up(clips: ClipService, key: str, named: str, wanted: Delivery) -> None:
    """Somebody who asks, and leaves once the making is under way."""
    before = len(clips.renditions._makings)
    asking = asyncio.create_task(clips.renditions.fetch(key, named, wanted))
    while len(clips.renditions._makings) == before:
        await asyncio.sleep(0.001)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


def test_whoever_hangs_up_and_asks_again_joins_the_making_that_goes_on(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    slow = Slow(house)

    async def play() -> Fetched:
        parts = await house.parts(house.engine, stamper=slow)
        asked = (studio.keys["narrator"], clip.headers["x-clip-id"], delivery("mp3"))
        try:
            await hung_up(parts.clips, *asked)
            assert await asyncio.to_thread(slow.begun.acquire, True, 20)
            last = asyncio.create_task(parts.clips.renditions.fetch(*asked))
            slow.enough.set()
            return await last
        finally:
            slow.enough.set()
            await parts.worker.close()

    assert house.run(play()).audio == fetch(house, studio, clip, response_format="mp3").content
    assert slow.made == 1
    assert len(studio.stored()) == 2


def test_beyond_a_short_queue_it_is_not_made_and_everything_else_goes_on(
    house: House, studio: Studio, clip: httpx.Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, forms = Slow(house), [delivery(name, 16_000) for name in ("mp3", "flac", "opus", "m4a", "pcm")]
    monkeypatch.setattr(renditions, "_WAITING", 2)

    async def play() -> tuple[int, Fetched, httpx.Response]:
        parts = await house.parts(house.engine, stamper=slow)
        key, named = studio.keys["narrator"], clip.headers["x-clip-id"]
        try:
            for wanted in forms[:3]:  # who hangs up leaves no room: the work goes on
                await hung_up(parts.clips, key, named, wanted)
            refused = await house.asend("GET", f"/v1/clips/{named}-m4a-16000", key=key, app=parts.http)
            assert await asyncio.to_thread(slow.begun.acquire, True, 20)
            at_work = slow.made
            plain = await asyncio.wait_for(parts.clips.fetch(key, named), 20)
            slow.enough.set()
            while parts.clips.renditions._makings:
                await asyncio.sleep(0.001)
            await parts.clips.renditions.fetch(key, named, forms[3])
            return at_work, plain, refused
        finally:
            slow.enough.set()
            await parts.worker.close()

    at_work, plain, refused = house.run(play())
    assert (refused.status_code, code_of(refused)) == (503, "overloaded")
    assert int(refused.headers["retry-after"]) > 0
    assert at_work == 1, "one at a time"
    assert plain.audio == clip.content
    assert slow.made == 4


def test_a_clip_is_fetched_however_many_makings_are_under_way(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    """The threads that stamp, store and open clips are not theirs."""
    slow = Slow(house, StampFailed("enough is known"))
    forms = [delivery(name, 16_000) for name in ("mp3", "flac", "opus", "m4a")]

    async def play() -> Fetched:
        loop, few = asyncio.get_running_loop(), ThreadPoolExecutor(3)
        parts = await house.parts(house.engine, stamper=slow)
        key, named = studio.keys["narrator"], clip.headers["x-clip-id"]
        loop.set_default_executor(few)
        asked = [asyncio.create_task(parts.clips.renditions.fetch(key, named, wanted)) for wanted in forms]
        try:
            async with asyncio.timeout(20):
                while len(parts.clips.renditions._makings) < len(forms):
                    await asyncio.sleep(0.001)
                return await parts.clips.fetch(key, named)
        finally:
            slow.enough.set()
            await asyncio.gather(*asked, return_exceptions=True)
            loop.set_default_executor(ThreadPoolExecutor())
            few.shutdown()
            await parts.worker.close()

    assert house.run(play()).audio == clip.content
