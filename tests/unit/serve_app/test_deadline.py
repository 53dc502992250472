"""A request whose time is up ends as such, and not as one whose caller hung up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from serve_app.clips.stream import ClipStream, closing_of_stream
from serve_app.deadline import deadline, takes_its_time, why_cancelled
from serve_app.ingress.stream_response import ClipStreamResponse
from tests.unit.serve_app.house import House, Studio


def expire(timer: asyncio.Timeout) -> None:
    timer.reschedule(asyncio.get_running_loop().time())


def test_a_stream_whose_time_is_up_is_cut_and_what_was_heard_is_covered(house: House, studio: Studio) -> None:
    heard: list[bytes] = []

    async def play() -> Any:
        engine = house.held_engine()
        parts = await house.parts(engine)
        saying = asyncio.ensure_future(parts.clips.stream(studio.say("It takes longer than it may.")))
        spoken = await engine.next_start()
        spoken.emit(house.speech[:24_000])
        clip = await saying
        assert isinstance(clip, ClipStream)
        with pytest.raises(TimeoutError):
            async with deadline(60) as timer:

                async def send(message: Any) -> None:
                    if body := message.get("body"):
                        heard.append(body)
                        expire(timer)

                await ClipStreamResponse(clip).stream_response(send)
        kept = await parts.clips.manifest(studio.keys["narrator"], clip.started.grant.clip_id)
        assert kept.audio == b"".join(heard)
        assert not spoken.live, "the engine need not go on"
        await parts.worker.close()
        return parts.metrics

    metrics = house.run(play())
    assert heard
    assert studio.endings() == [("cut", "deadline_exceeded")]
    labels = {"outcome": "cut", "code": "deadline_exceeded"}
    assert metrics.registry.get_sample_value("vouch_streams_total", labels) == 1


def test_a_stream_whose_time_is_up_before_its_first_sound_says_so_too(house: House, studio: Studio) -> None:
    async def play() -> None:
        engine = house.held_engine()
        parts = await house.parts(engine)
        timers: list[asyncio.Timeout] = []

        async def ask() -> None:
            async with deadline(60) as timer:
                timers.append(timer)
                await parts.clips.stream(studio.say("It never begins."))

        saying = asyncio.ensure_future(ask())
        await engine.next_start()
        expire(timers[0])
        with pytest.raises(TimeoutError):
            await saying
        await parts.worker.close()

    house.run(play())
    assert studio.endings() == [("cut", "deadline_exceeded")]


def test_who_hangs_up_in_time_is_not_said_to_have_been_late() -> None:
    async def play() -> list[str]:
        said: list[str] = []

        async def request() -> None:
            async with deadline(60):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    said.append(why_cancelled())
                    raise

        running = asyncio.ensure_future(request())
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return [*said, why_cancelled()]

    assert asyncio.run(play()) == ["disconnected", "disconnected"]


@pytest.mark.parametrize(
    ("why", "written"),
    [
        (None, ("completed", "")),
        (asyncio.CancelledError(), ("disconnected", "disconnected")),
        (ConnectionResetError(), ("disconnected", "disconnected")),
        (ZeroDivisionError(), ("failed", "internal_error")),
    ],
)
def test_only_who_went_away_is_written_down_as_gone(
    why: BaseException | None, written: tuple[str, str]
) -> None:
    closing = closing_of_stream(why)
    assert (closing.outcome, closing.reason) == written


def test_what_has_a_limit_of_its_own_has_no_deadline() -> None:
    async def decommission() -> tuple[float | None, float | None]:
        async with deadline(60) as timer:
            before = timer.when()
            takes_its_time()
            return before, timer.when()

    before, after = asyncio.run(decommission())
    assert before is not None
    assert after is None


def test_a_deadline_that_has_passed_is_not_lifted() -> None:
    async def late() -> None:
        async with deadline(60) as timer:
            expire(timer)
            try:
                await asyncio.Event().wait()
            finally:
                takes_its_time()

    with pytest.raises(TimeoutError):
        asyncio.run(late())
