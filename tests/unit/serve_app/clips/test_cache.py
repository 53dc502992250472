"""The same request gives the same clip, one synthesis serves all who ask for it at once, and what is not the same is
never shared (DESIGN I8)."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
from typing import Any

import pytest

from consent_service.models import Role
from consent_service.proofs.records import WatermarkTag
from provenance.keyed.marker import Marker
from serve_app.clips.cache import SingleFlight, cache_key, seed_of
from serve_app.errors import RequestRefused
from speech.engine import Samples
from speech.text import prepare
from synthesis.voice import Design, Preset
from tests.unit.serve_app.house import Held, House, Parts, Studio


async def say_all(parts: Parts, *asked: Any) -> list[Any]:
    return await asyncio.gather(*(parts.clips.create_clip(a) for a in asked), return_exceptions=True)


def with_parts(house: House, play: Any, **given: Any) -> Any:
    async def run() -> Any:
        parts = await house.parts(given.pop("engine", house.engine), **given)
        try:
            return await play(parts)
        finally:
            await parts.worker.close()

    return house.run(run())


def test_the_same_request_gives_the_same_bytes_and_the_same_clip_id(house: House, studio: Studio) -> None:
    first, again = (
        house.run(house.clips.create_clip(studio.say())),
        house.run(house.clips.create_clip(studio.say())),
    )
    assert (first.cached, again.cached) == (False, True)
    assert (again.clip_id, again.audio) == (first.clip_id, first.audio)


def test_texts_that_are_the_same_after_canonicalisation_are_the_same_request(
    house: House, studio: Studio
) -> None:
    first = house.run(house.clips.create_clip(studio.say("Good  morning,\nworld")))
    assert house.run(house.clips.create_clip(studio.say(" Good morning, world "))).clip_id == first.clip_id


def test_a_lexicon_makes_the_request_that_its_respelling_is(house: House, studio: Studio) -> None:
    body = {"language": "en", "purpose": "narration", "speaker": "Vivian"}
    key = studio.keys["narrator"]
    plain, respelled = (
        house.post("/v1/custom-voice", body | more, key=key)
        for more in ({"text": "Hello Win."}, {"text": "Hello Nguyen.", "lexicon": {"Nguyen": "Win"}})
    )
    assert (plain.status_code, respelled.status_code) == (200, 200)
    assert (plain.headers["x-cache"], respelled.headers["x-cache"]) == ("miss", "hit")
    other = house.post("/v1/custom-voice", body | {"text": "Hello Nguyen."}, key=key)
    assert other.headers["x-cache"] == "miss"


@pytest.mark.parametrize("seed", [None, 0, 7])
def test_samples_depend_on_the_request_alone(house: House, studio: Studio, seed: int | None) -> None:
    """Two tenants never share a clip, but a seed that a caller names decides the same samples for both: all but for
    the keyed mark, which is every clip's own."""
    unmarked: list[Samples] = []

    class Listening(Marker):
        def mark(self, samples: Samples, mark: WatermarkTag | None) -> Samples:
            unmarked.append(samples)
            return super().mark(samples, mark)

    async def play(parts: Parts) -> list[Any]:
        spoken: list[Any] = []
        parts.worker.identity.marker = Listening()  # type: ignore[misc]

        async def keep(real: Any) -> Any:
            spoken.append(await real())
            return spoken[-1]

        parts.voice.on["synthesize"] = keep
        other = house.studio()
        for who in (studio, other):
            await parts.clips.create_clip(who.say(voice=Preset("Vivian"), seed=seed))
        return spoken

    one, other = with_parts(house, play)
    if seed is not None:
        assert (unmarked[0] == unmarked[1]).all()
        assert (one.samples != other.samples).any()
    assert one.started.grant.tenant != other.started.grant.tenant


def test_concurrent_identical_requests_are_one_synthesis(house: House, studio: Studio) -> None:
    async def play(parts: Parts) -> None:
        clips = await say_all(parts, *[studio.say() for _ in range(8)])
        assert parts.voice.calls.count("synthesize") == 1
        assert len({clip.clip_id for clip in clips}) == len({clip.audio for clip in clips}) == 1
        assert sorted(clip.cached for clip in clips) == [False] + [True] * 7

    with_parts(house, play)
    endings = studio.endings()
    assert endings == [("completed", None)] * 8, "each caller has an audit entry of their own"


def test_what_is_not_the_same_is_never_shared(house: House, studio: Studio) -> None:
    other_grantee = studio.api_key(Role.NARRATOR, grantee="another-studio")
    studio.state(studio.voice.voice_id, "accessibility")
    studio.consent = studio.record(purposes=("narration", "accessibility"))
    studio.state(studio.voice.voice_id, "narration", grantee="another-studio")
    theirs = studio.record(grantee="another-studio", bind=False)
    neighbour = house.studio()
    asked = [
        studio.say(),
        studio.say("Good evening."),
        studio.say(seed=1),
        studio.say(seed=2),
        studio.say(purpose="accessibility"),
        studio.say(utterance=prepare("Good morning.", "de")),
        studio.say(utterance=prepare("Good morning.", "en", "whisper")),
        studio.say(api_key=other_grantee, consent_token=theirs.consent_token),
        studio.say(voice=Preset("Vivian")),
        studio.say(voice=Preset("Ryan")),
        studio.say(voice=Design()),
        neighbour.say(),
        neighbour.say(voice=Preset("Vivian")),
    ]

    async def play(parts: Parts) -> None:
        clips = await say_all(parts, *asked)
        assert all(not isinstance(clip, BaseException) for clip in clips), clips
        assert len({clip.clip_id for clip in clips}) == len(asked)
        assert parts.voice.calls.count("synthesize") == len(asked)

    with_parts(house, play)


def test_two_consents_for_the_same_use_do_not_share_a_clip(house: House, studio: Studio) -> None:
    first = house.run(house.clips.create_clip(studio.say(consent_token=studio.consent.consent_token)))
    second = studio.record(bind=False)
    again = house.run(house.clips.create_clip(studio.say(consent_token=second.consent_token)))
    assert (again.cached, again.clip_id == first.clip_id) == (False, False)


def test_every_part_of_the_key_counts(house: House) -> None:
    said, info = prepare("Hello.", "en"), house.engine.info
    usual: dict[str, Any] = {"seed": None, "profile": "default", "delivery": "wav/24000"}
    keys = {
        cache_key("scope", said, info, **usual),
        cache_key("other", said, info, **usual),
        cache_key("scope", prepare("Hello!", "en"), info, **usual),
        cache_key("scope", said, dataclasses.replace(info, name="other"), **usual),
        cache_key("scope", said, dataclasses.replace(info, model_digest="0" * 64), **usual),
        *(cache_key("scope", said, info, **{**usual, "seed": seed}) for seed in (0, 1)),
        cache_key("scope", said, info, **{**usual, "profile": "spoken"}),
        cache_key("scope", said, info, **{**usual, "delivery": "mp3/24000"}),
    }
    assert len(keys) == 9
    assert all(0 <= seed_of(key) < 2**31 for key in keys)


def test_who_asks_while_a_clip_is_being_stored_gets_the_same_one(house: House, studio: Studio) -> None:
    """A stored clip that is not registered yet is not found, so nobody is refused for it."""

    async def play(parts: Parts) -> None:
        held = Held()
        parts.gate.on["hand_over"] = held
        first = asyncio.create_task(parts.clips.create_clip(studio.say()))
        await held.arrived.wait()
        assert [f.suffix for f in studio.stored()] == [".part"]
        second = await house.parts(house.engine)  # another ingress, over the same store
        other = await second.clips.create_clip(studio.say())
        held.release()
        await first
        assert not other.cached
        third = await second.clips.create_clip(studio.say())
        assert third.cached
        await second.worker.close()

    with_parts(house, play)
    assert [f.suffix for f in studio.stored()] == [".clip"]


def test_a_clip_whose_place_was_taken_is_not_mistaken_for_the_other(house: House, studio: Studio) -> None:
    async def play(parts: Parts) -> None:
        held = Held()
        parts.gate.on["hand_over"] = held
        first = asyncio.create_task(parts.clips.create_clip(studio.say()))
        await held.arrived.wait()
        second = await house.parts(house.engine)
        other = await second.clips.create_clip(studio.say())
        held.release()
        mine = await first
        found = await second.clips.fetch(studio.keys["narrator"], mine.clip_id)
        assert found.audio == mine.audio
        with pytest.raises(RequestRefused) as refused:
            await second.clips.fetch(studio.keys["narrator"], other.clip_id)
        assert refused.value.code == "not_found"
        await second.worker.close()

    with_parts(house, play)


def test_a_leader_who_hangs_up_takes_no_one_along(house: House, studio: Studio) -> None:
    engine = house.held_engine()

    async def play(parts: Parts) -> None:
        leader = asyncio.create_task(parts.clips.create_clip(studio.say()))
        stream = await engine.next_start()
        follower = asyncio.create_task(parts.clips.create_clip(studio.say()))
        await parts.shared_by(2)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        stream.emit(house.speech)
        stream.finish()
        clip = await follower
        assert clip.audio.startswith(b"RIFF")
        assert parts.voice.calls.count("synthesize") == 1

    with_parts(house, play, engine=engine)
    assert {outcome for outcome, _ in studio.endings()} == {"completed"}


def test_a_caller_who_leaves_as_the_replica_answers_leaves_no_entry_open(
    house: House, studio: Studio
) -> None:
    async def play(parts: Parts) -> None:
        answered, closed = Held(before=False), asyncio.Event()

        async def close(real: Any) -> Any:
            leaf = await real()
            closed.set()
            return leaf

        parts.voice.on["synthesize"], parts.gate.on["close_clip"] = answered, close
        caller = asyncio.create_task(parts.clips.create_clip(studio.say()))
        await answered.arrived.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await closed.wait()

    with_parts(house, play)
    assert studio.endings() == [("disconnected", "disconnected")]


def test_a_failure_that_concerns_the_leaders_key_alone_is_not_the_followers(
    house: House, studio: Studio
) -> None:
    second_key = studio.api_key(Role.NARRATOR)
    house.service.tenants.bind_consent(
        studio.by("admin"), house.service.authenticate(second_key).key_id, studio.consent.consent.consent_id
    )

    async def play(parts: Parts) -> None:
        held = Held()
        parts.voices_gate.on["redeem"] = held
        leader = asyncio.create_task(parts.clips.create_clip(studio.say()))
        await held.arrived.wait()
        follower = asyncio.create_task(parts.clips.create_clip(studio.say(api_key=second_key)))
        await parts.shared_by(2)
        house.service.tenants.revoke_key(studio.by("admin"), studio.by("narrator").key_id)
        held.release()
        with pytest.raises(RequestRefused) as refused:
            await leader
        assert refused.value.code == "key_revoked"
        assert (await follower).audio.startswith(b"RIFF")

    with_parts(house, play)


# single flight by itself ---------------------------------------------------------------------------------------


class Work:
    """A piece of work that waits for the test."""

    def __init__(self) -> None:
        self.began = 0
        self.cancelled = 0
        self.started, self.go, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self) -> int:
        self.began += 1
        number = self.began
        self.started.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            await asyncio.sleep(0)  # it has something to put away
            raise
        finally:
            self.ended.set()
        return number


def test_the_last_one_to_leave_cancels_the_work(house: House) -> None:
    async def play() -> None:
        flights: SingleFlight[int] = SingleFlight()
        work = Work()
        waiting = [asyncio.create_task(flights.run("k", work)) for _ in range(3)]
        await work.started.wait()
        assert flights.waiting("k") == 3
        for task in waiting[:2]:
            task.cancel()
        await asyncio.wait(waiting[:2])
        assert work.cancelled == 0
        waiting[2].cancel()
        await asyncio.wait(waiting)
        await work.ended.wait()
        assert (work.began, work.cancelled, flights.waiting("k")) == (1, 1, 0)

    house.run(play())


def test_no_one_joins_a_flight_that_is_coming_down(house: House) -> None:
    async def play() -> None:
        flights: SingleFlight[int] = SingleFlight()
        work = Work()
        first = asyncio.create_task(flights.run("k", work))
        await work.started.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        second = asyncio.create_task(flights.run("k", work))
        work.go.set()
        assert await second == 2
        assert flights.waiting("k") == 0

    house.run(play())


def test_a_flight_that_finishes_alone_is_joined_after_the_last_one_left(house: House) -> None:
    async def play() -> None:
        flights: SingleFlight[int] = SingleFlight(finish_alone=True)
        work = Work()
        first = asyncio.create_task(flights.run("k", work))
        await work.started.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert len(flights) == 1
        second = asyncio.create_task(flights.run("k", work))
        work.go.set()
        assert await second == 1
        assert (work.began, work.cancelled, len(flights)) == (1, 0, 0)

    house.run(play())


def test_a_failure_that_nobody_waits_for_is_not_logged_in_full(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        flights: SingleFlight[int] = SingleFlight(finish_alone=True)
        started, go = asyncio.Event(), asyncio.Event()

        async def fails() -> int:
            started.set()
            await go.wait()
            raise ValueError("a secret")

        waiting = asyncio.create_task(flights.run("k", fails))
        await started.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
        go.set()
        while len(flights):
            await asyncio.sleep(0)

    house.run(play())
    gc.collect()
    assert "a secret" not in caplog.text


def test_a_failure_reaches_all_and_is_forgotten(house: House) -> None:
    async def play() -> None:
        flights: SingleFlight[int] = SingleFlight()

        async def fails() -> int:
            await asyncio.sleep(0)
            raise RequestRefused("synthesis_failed", "…")

        async def works() -> int:
            return 1

        answers = await asyncio.gather(*(flights.run("k", fails) for _ in range(3)), return_exceptions=True)
        assert [a.code for a in answers if isinstance(a, RequestRefused)] == ["synthesis_failed"] * 3
        assert await flights.run("k", works) == 1

    house.run(play())
