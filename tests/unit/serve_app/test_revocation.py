"""A withdrawal bites: before, while and after a clip is made, and where revocations cannot be known nothing leaves
(DESIGN I5)."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

import pytest

from consent_service.gate import revocations
from consent_service.models import Revocation
from serve_app.errors import RequestRefused
from serve_app.gate.protocol import Feed
from serve_app.metrics import PrometheusMetrics
from serve_app.voice.watch import RevocationWatch
from speech.text import prepare
from synthesis.voice import Preset
from tests.assets.grants import granted
from tests.unit.serve_app.house import FaultInjector, Held, House, Parts, Studio, code_of, raising


def clone(house: House, studio: Studio, **more: Any) -> Any:
    body = {
        "text": "Good morning.",
        "language": "en",
        "voice_id": studio.voice.voice_id,
        "purpose": "narration",
    }
    return house.post("/v1/voice-clone", {**body, **more}, key=studio.keys["narrator"])


async def refused(saying: Any) -> str:
    with pytest.raises(RequestRefused) as caught:
        await saying
    return caught.value.code


def test_after_a_withdrawal_neither_request_nor_cache_nor_clip_speaks(house: House, studio: Studio) -> None:
    made = clone(house, studio)
    assert made.status_code == 200
    studio.revoke()
    again = clone(house, studio, consent_token=studio.consent.consent_token)
    assert (again.status_code, code_of(again)) == (403, "consent_revoked")
    clip = f"/v1/clips/{made.headers['x-clip-id']}"
    kept = house.request("GET", clip, key=studio.keys["narrator"])
    assert (kept.status_code, code_of(kept)) == (403, "consent_revoked")
    told = house.request("GET", f"{clip}/manifest", key=studio.keys["narrator"])
    assert told.status_code == 200, "whoever holds a copy may still know what it is"
    record = house.request(
        "GET", f"/v1/clips/{made.headers['x-clip-id']}/record", key=studio.keys["auditor"]
    ).json()
    assert record["standing"] == "withdrawn since"


def test_a_new_consent_does_not_bring_the_old_clip_back(house: House, studio: Studio) -> None:
    async def play() -> tuple[Any, Any]:
        parts = await house.parts(house.engine)
        made = await parts.clips.create_clip(studio.say())
        await asyncio.to_thread(studio.revoke)
        await noticed(parts, studio)
        await asyncio.to_thread(studio.state, studio.voice.voice_id, "narration")
        await asyncio.to_thread(studio.record, purposes=("narration",))
        again = await parts.clips.create_clip(studio.say())
        await parts.worker.close()
        return made, again

    made, again = house.run(play())
    assert not again.cached
    assert again.clip_id != made.clip_id


async def noticed(parts: Parts, studio: Studio) -> None:
    """Until the replica knows of the withdrawal; what is said of that voice at that moment ends."""
    while (studio.name, studio.voice.voice_id) not in parts.watch._epochs:
        await asyncio.sleep(0.01)


def test_a_withdrawal_between_the_decision_and_the_redemption_is_refused(
    house: House, studio: Studio
) -> None:
    async def play() -> str:
        held = Held()
        parts = await house.parts(house.engine, seen_by_voice={"redeem": held})
        saying = asyncio.create_task(parts.clips.create_clip(studio.say()))
        await held.arrived.wait()
        await asyncio.to_thread(studio.revoke)
        held.release()
        try:
            return await refused(saying)
        finally:
            await parts.worker.close()

    assert house.run(play()) == "consent_revoked"
    assert studio.stored() == []


def test_a_withdrawal_while_speaking_ends_it_without_another_chunk(house: House, studio: Studio) -> None:
    async def play() -> str:
        engine = house.held_engine()
        parts = await house.parts(engine)
        saying = asyncio.create_task(parts.clips.create_clip(studio.say()))
        stream = await engine.next_start()
        stream.emit(house.speech[:4_000])
        await asyncio.to_thread(studio.revoke)
        try:
            return await refused(saying)  # the engine never comes to an end by itself
        finally:
            await parts.worker.close()

    assert house.run(play()) == "consent_revoked"
    assert studio.endings() == [("cut", "consent_revoked")]


def test_an_engine_that_does_not_listen_is_stopped_at_its_next_chunk(house: House, studio: Studio) -> None:
    async def play() -> str:
        engine = house.held_engine()
        engine.cancel_voice = raising_now  # type: ignore[method-assign, assignment]
        parts = await house.parts(engine)
        saying = asyncio.create_task(parts.clips.create_clip(studio.say()))
        stream = await engine.next_start()
        await asyncio.to_thread(studio.revoke)
        await noticed(parts, studio)
        stream.emit(house.speech)
        try:
            return await refused(saying)
        finally:
            await parts.worker.close()

    assert house.run(play()) == "consent_revoked"
    assert studio.endings() == [("cut", "consent_revoked")]


def raising_now(*_: Any) -> int:
    raise RuntimeError("the engine does not listen")


@pytest.mark.parametrize("method", ["sign_manifest", "new_clip_key", "hand_over"])
def test_a_withdrawal_after_the_last_word_still_holds_the_clip_back(
    house: House, studio: Studio, method: str
) -> None:
    async def play() -> str:
        held = Held()
        parts = await house.parts(house.engine, gate={method: held})
        if method == "sign_manifest":
            from provenance.stamp import Stamper
            from serve_app.gate.client import BlockingGateClient

            parts.clips._stamper = Stamper(await BlockingGateClient.connect(parts.gate, house.node_secret))
        saying = asyncio.create_task(parts.clips.create_clip(studio.say()))
        await held.arrived.wait()
        await asyncio.to_thread(studio.revoke)
        held.release()
        try:
            return await refused(saying)
        finally:
            await parts.worker.close()

    assert house.run(play()) == "consent_revoked"
    assert studio.stored() == [], "nothing is stored and nothing is cached"
    assert studio.endings() == [("cut", "consent_revoked")]


def test_a_withdrawal_while_a_cached_clip_is_fetched_holds_it_back(house: House, studio: Studio) -> None:
    assert clone(house, studio).status_code == 200

    async def play() -> str:
        held = Held(before=False)
        parts = await house.parts(house.engine, gate={"clip_key": held})
        saying = asyncio.create_task(parts.clips.create_clip(studio.say()))
        await held.arrived.wait()
        await asyncio.to_thread(studio.revoke)
        held.release()
        try:
            return await refused(saying)
        finally:
            await parts.worker.close()

    assert house.run(play()) == "consent_revoked"


def test_a_consent_that_ends_while_speaking_ends_the_speech(house: House, studio: Studio) -> None:
    short = studio.record(valid_until=time.time() + 1.0)

    async def play() -> str:
        engine = house.held_engine()
        parts = await house.parts(engine)
        saying = asyncio.create_task(parts.clips.create_clip(studio.say(consent_token=short.consent_token)))
        stream = await engine.next_start()
        parts.worker._clock = lambda: time.time() + 2  # the worker's idea of now, a moment after the end
        stream.emit(house.speech)
        try:
            return await refused(saying)
        finally:
            await parts.worker.close()

    assert house.run(play()) == "consent_expired"
    assert studio.endings() == [("cut", "consent_expired")]


def test_what_cannot_be_known_of_revocations_releases_nothing(house: House, studio: Studio) -> None:
    async def play() -> str:
        engine = house.held_engine()
        parts = await house.parts(engine, stale_after_s=0.2)
        parts.voices_gate.on["revocations"] = raising(RequestRefused("ledger_unavailable", "gone"))
        watch = parts.watch
        watch._knowledge._clock = lambda: time.monotonic() + 5  # five seconds later
        watch.fresh = partial(watch.fresh, within_s=0.05)  # type: ignore[method-assign]
        saying = asyncio.create_task(parts.clips.create_clip(studio.say()))
        stream = await engine.next_start()
        stream.emit(house.speech)
        stream.finish()
        try:
            return await refused(saying)
        finally:
            await parts.worker.close()

    assert house.run(play()) == "revocations_unknown"
    assert studio.endings() == [("failed", "revocations_unknown")]
    assert studio.stored() == []


def test_a_preset_needs_no_consent_and_waits_for_no_revocations(house: House, studio: Studio) -> None:
    async def play() -> None:
        parts = await house.parts(house.engine, stale_after_s=0.2)
        parts.voices_gate.on["revocations"] = raising(RequestRefused("ledger_unavailable", "gone"))
        await parts.clips.create_clip(studio.say(voice=Preset("Vivian")))
        await parts.worker.close()

    house.run(play())


# the watch -----------------------------------------------------------------------------------------------------


def watch_on(gate: Any, **more: Any) -> RevocationWatch:
    return RevocationWatch(
        gate, **{"wait_s": 0.01, "stale_after_s": 0.7, "metrics": PrometheusMetrics(), **more}
    )


def event(seq: int, epoch: int, voice: str = "voice-a", tenant: str = "acme") -> Revocation:
    return Revocation(seq, tenant, voice, epoch, "consent-1", "withdrawn", time.time())


class Feeding:
    """A gate whose feed is a list."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[int] = []
        self.empty = asyncio.Event()

    async def revocations(self, after: int, wait_s: float) -> Feed:
        self.asked.append(after)
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if self.answers else Feed((), after)
        if not self.answers:
            self.empty.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_new_replica_reads_the_whole_past_before_it_speaks(house: House) -> None:
    async def play() -> None:
        gate = Feeding(Feed((event(1, 2),), 1), Feed((event(2, 2, "voice-b"),), 2))
        watch = watch_on(gate)
        await watch.start()
        said = prepare("Hello.", "en")
        assert watch.revoked(granted(said, voice_id="voice-a", voice_epoch=1).grant)
        assert watch.revoked(granted(said, voice_id="voice-b", voice_epoch=1).grant)
        assert not watch.revoked(granted(said, voice_id="voice-a", voice_epoch=2).grant), "granted since"
        assert not watch.revoked(granted(said, voice_id="voice-a", voice_epoch=1, tenant="other").grant)
        assert gate.asked[:3] == [0, 1, 2]
        await watch.stop()

    house.run(play())


@pytest.mark.parametrize("error", [RequestRefused("ledger_unavailable", "…"), ValueError("unforeseen")])
def test_a_watch_that_could_not_read_goes_on_and_misses_nothing(house: House, error: Exception) -> None:
    async def play() -> None:
        gate = Feeding(Feed((), 0), error, Feed((event(1, 2),), 1))
        watch = watch_on(gate)
        heard: asyncio.Queue[Revocation] = asyncio.Queue()
        watch.on_revocation = heard.put_nowait
        await watch.start()
        assert (await asyncio.wait_for(heard.get(), 10)).seq == 1
        assert gate.asked[1] == gate.asked[2] == 0, "it asks again from where it was"
        await watch.stop()

    house.run(play())


def test_an_epoch_never_goes_back(house: House) -> None:
    async def play() -> None:
        watch = watch_on(Feeding(Feed((event(1, 5), event(2, 3)), 2)))
        await watch.start()
        assert watch.revoked(granted(prepare("Hello.", "en"), voice_epoch=4).grant)
        await watch.stop()

    house.run(play())


def test_knowledge_is_as_old_as_the_question_and_not_as_the_answer(house: House) -> None:
    now = [100.0]

    class Slow(Feeding):
        async def revocations(self, after: int, wait_s: float) -> Feed:
            now[0] += 0.9  # the answer took longer than knowledge may be old
            return Feed((), after)

    async def play() -> None:
        watch = watch_on(Slow(), clock=lambda: now[0])
        await watch._pull(wait_s=0)
        assert not watch.is_fresh
        assert not await watch.fresh(within_s=0.01)

    house.run(play())


def test_a_long_poll_answers_at_once_when_something_was_withdrawn(house: House, studio: Studio) -> None:
    async def play() -> Feed:
        cursor = 0
        while (feed := await house.gate.revocations(cursor, 0.0)).events:
            cursor = feed.cursor
        polling = asyncio.create_task(house.gate.revocations(cursor, 30.0))
        await asyncio.sleep(0)
        await asyncio.to_thread(studio.revoke)
        return await asyncio.wait_for(polling, 20)

    feed = house.run(play())
    assert [e.voice_id for e in feed.events] == [studio.voice.voice_id]
    assert feed.cursor == feed.events[-1].seq


def test_long_polls_without_news_ask_the_ledger_nothing_of_their_own(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> list[Revocation]:
        raise AssertionError("a poll asked the ledger by itself")

    monkeypatch.setattr(revocations, "revocations", asked)

    async def play() -> list[Feed]:
        polls = [house.gate.revocations(10**9, 0.01) for _ in range(20)]
        return await asyncio.gather(*polls)

    assert house.run(play()) == [Feed((), 10**9)] * 20


def test_a_feed_without_news_gives_the_cursor_back(house: House) -> None:
    async def play() -> Feed:
        return await FaultInjector(house.gate).revocations(10**9, 0.0)

    assert house.run(play()) == Feed((), 10**9)
