"""A form of a clip is kept beside whoever else makes it, and never longer than the clip, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from consent_service.deletion import clips as derivatives
from consent_service.ledger.tables import clips
from provenance.formats.delivery import delivery
from serve_app.clips.publisher import Fetched
from serve_app.clips.store import ClipStore, StagedClip
from serve_app.errors import RequestRefused
from tests.unit.serve_app.clips.test_renditions import asked_of, clip, fetch, verified
from tests.unit.serve_app.house import Held, House, Studio, code_of, raising

__all__ = ["clip"]  # a fixture


def test_a_form_does_not_stay_when_nobody_knows_whether_its_voice_was_deleted_meanwhile(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    unknown = {"standing": raising(RequestRefused("ledger_unavailable", "no"))}
    (answer,) = asked_of(house, studio, clip, gate=unknown)
    assert (answer.status_code, code_of(answer)) == (503, "ledger_unavailable")
    assert len(studio.stored()) == 1


def test_the_last_search_finds_the_form_of_an_old_clip_whose_maker_died_after_publishing_it(
    house: House, studio: Studio, clip: httpx.Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    with house.installation.ledger.engine.begin() as connection:
        connection.execute(update(clips).values(created_at=clips.c.created_at - 30 * 86_400))
    publish, delete = ClipStore.publish, derivatives.delete_clips

    def while_deleting(store: ClipStore, staged: StagedClip) -> None:
        def deleted(*of: Any) -> None:
            delete(*of)
            publish(store, staged)

        monkeypatch.setattr(derivatives, "delete_clips", deleted)
        house.service.deletion.decommission(studio.by("admin"), studio.voice.voice_id, "the end")

    monkeypatch.setattr(ClipStore, "publish", while_deleting)
    monkeypatch.setattr(ClipStore, "take_back", lambda *_: None)
    (answer,) = asked_of(house, studio, clip)
    assert (answer.status_code, code_of(answer)) == (403, "consent_revoked")
    assert studio.stored() == []


@pytest.mark.parametrize("name", ["mp3", "opus"])
def test_two_who_make_the_same_form_at_once_both_give_what_is_ours_and_leave_one(
    house: House, studio: Studio, clip: httpx.Response, name: str
) -> None:
    async def play() -> list[Fetched]:
        held = [Held(before=False), Held(before=False)]
        doors = [await house.parts(house.engine, gate={"add_copy": each}) for each in held]
        asked = (studio.keys["narrator"], clip.headers["x-clip-id"], delivery(name))
        making = [asyncio.create_task(one.clips.renditions.fetch(*asked)) for one in doors]
        try:
            for each in held:  # both are stored unseen before either is to be found
                await asyncio.wait_for(each.arrived.wait(), 20)
            held[0].release()
            first = await making[0]
            held[1].release()
            return [first, await making[1]]
        finally:
            for each in held:
                each.release()
            await asyncio.gather(*making, return_exceptions=True)
            for one in doors:
                await one.worker.close()

    both = house.run(play())
    later = fetch(house, studio, clip, response_format=name)
    assert later.content == both[1].audio, "the later one stays"
    assert (both[0].audio == both[1].audio) is (name == "opus"), "a manifest inside is signed by each"
    manifest = house.request(
        "GET", f"/v1/clips/{later.headers['x-clip-id']}/manifest", key=studio.keys["narrator"]
    ).content
    for made in both:
        beside = None if made.manifest is None else manifest
        told = verified(house, studio.keys["auditor"], made.audio, beside)
        assert (told["origin"], told["integrity"], told["standing"]) == ("ours", "intact", "live")
    assert len(studio.stored()) == 2
    house.service.deletion.decommission(studio.by("admin"), studio.voice.voice_id, "the end")
    assert studio.stored() == []


def test_a_form_that_is_kept_is_given_though_publishing_it_failed(
    house: House, studio: Studio, clip: httpx.Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = ClipStore.publish

    def kept_and_failed(store: ClipStore, staged: StagedClip) -> None:
        publish(store, staged)
        raise OSError("the answer was lost")

    monkeypatch.setattr(ClipStore, "publish", kept_and_failed)
    (answer,) = asked_of(house, studio, clip)
    assert answer.status_code == 200
    assert answer.content == fetch(house, studio, clip, response_format="mp3").content


def test_deletion_finds_what_was_left_unfinished_by_the_clips_name(
    house: House, studio: Studio, clip: httpx.Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("no room")

    monkeypatch.setattr(ClipStore, "publish", fail)
    monkeypatch.setattr(ClipStore, "discard", fail)
    for _ in range(2):
        assert asked_of(house, studio, clip)[0].status_code == 503
    assert sorted(file.suffix for file in studio.stored()) == [".clip", ".part", ".part"]
    house.service.deletion.decommission(studio.by("admin"), studio.voice.voice_id, "the end")
    assert studio.stored() == []


def test_what_is_being_kept_when_the_caller_hangs_up_is_kept_whole(
    house: House, studio: Studio, clip: httpx.Response
) -> None:
    async def play() -> None:
        held, published = Held(), asyncio.Event()
        parts = await house.parts(house.engine, gate={"add_copy": held})
        publish, loop = parts.store.publish, asyncio.get_running_loop()

        def seen(staged: Any) -> None:
            publish(staged)
            loop.call_soon_threadsafe(published.set)

        parts.store.publish = seen  # type: ignore[method-assign]
        asked = asyncio.create_task(
            parts.clips.renditions.fetch(studio.keys["narrator"], clip.headers["x-clip-id"], delivery("mp3"))
        )
        try:
            await asyncio.wait_for(held.arrived.wait(), 20)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            held.release()
            await asyncio.wait_for(published.wait(), 20)
        finally:
            await parts.worker.close()

    house.run(play())
    assert [file.suffix for file in studio.stored()] == [".clip", ".clip"]
    house.service.deletion.decommission(studio.by("admin"), studio.voice.voice_id, "the end")
    assert studio.stored() == []
