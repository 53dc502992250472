"""A stored clip goes out again only to its grantee, only while its consent stands, and never unseen by the log."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from consent_service.models import Role
from serve_app.errors import RequestRefused
from tests.unit.serve_app.house import House, Studio, code_of, recording


@pytest.fixture
def clip(house: House, studio: Studio) -> tuple[str, bytes]:
    body = {"text": "Good day.", "language": "en", "voice_id": studio.voice.voice_id, "purpose": "narration"}
    answer = house.post("/v1/voice-clone", body, key=studio.keys["narrator"])
    assert answer.status_code == 200, answer.text
    return answer.headers["x-clip-id"], answer.content


def test_the_grantee_hears_it_again_and_the_log_says_so(
    house: House, studio: Studio, clip: tuple[str, bytes]
) -> None:
    answer = house.request("GET", f"/v1/clips/{clip[0]}", key=studio.keys["narrator"])
    assert (answer.status_code, answer.content) == (200, clip[1])
    assert (studio.log()[-1]["kind"], studio.log()[-1]["clip"]) == ("clip.released", clip[0])


@pytest.mark.parametrize("what", ["", "/manifest", "/record"])
def test_another_grantee_of_the_tenant_learns_nothing_of_it(
    house: House, studio: Studio, clip: tuple[str, bytes], what: str
) -> None:
    stranger = studio.api_key(Role.NARRATOR, grantee="others")
    answer = house.request("GET", f"/v1/clips/{clip[0]}{what}", key=stranger)
    assert (answer.status_code, code_of(answer)) == (404, "clip_unknown")


def test_a_clip_withdrawn_while_it_is_read_does_not_leave(
    house: House, studio: Studio, clip: tuple[str, bytes]
) -> None:
    async def withdrawn_meanwhile(real: Callable[[], Awaitable[Any]]) -> Any:
        key = await real()
        studio.revoke()
        return key

    async def ask() -> Any:
        parts = await house.parts(house.engine, gate={"clip_key": withdrawn_meanwhile})
        try:
            return await house.asend(
                "GET", f"/v1/clips/{clip[0]}", key=studio.keys["narrator"], app=parts.http
            )
        finally:
            await parts.worker.close()

    answer = house.run(ask())
    assert (answer.status_code, code_of(answer)) == (403, "consent_revoked")
    assert studio.log()[-1]["kind"] == "clip.withheld"


def test_a_withdrawn_clip_is_refused_and_the_log_says_so(
    house: House, studio: Studio, clip: tuple[str, bytes]
) -> None:
    studio.revoke()
    answer = house.request("GET", f"/v1/clips/{clip[0]}", key=studio.keys["narrator"])
    assert (answer.status_code, code_of(answer)) == (403, "consent_revoked")
    assert studio.log()[-1]["kind"] == "clip.withheld"


def test_a_caller_with_a_key_gets_the_public_verdict_on_what_is_not_theirs(
    house: House, studio: Studio, clip: tuple[str, bytes]
) -> None:
    neighbour = house.studio()
    for content, key in (
        (clip[1], neighbour.keys["narrator"]),
        (clip[1], studio.api_key(Role.NARRATOR, grantee="others")),
        (recording(), studio.keys["narrator"]),
    ):
        answer = house.request("POST", "/v1/verify", content=content, key=key)
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) == {"origin", "integrity", "sentence"}


def test_a_clip_withdrawn_while_the_store_is_slow_does_not_leave(house: House, studio: Studio) -> None:
    """Registered and stored before the withdrawal, handed over after it: a slow bucket does that."""
    late = 0.0

    async def ask() -> None:
        parts = await house.parts(house.engine)
        publish = parts.store.publish

        def slowly(staged: Any) -> None:
            nonlocal late
            late = 1.0
            studio.revoke()
            publish(staged)

        parts.store.publish = slowly  # type: ignore[method-assign]
        parts.clips._clock = lambda: time.time() + late
        try:
            await parts.clips.create_clip(studio.say("Too late."))
        finally:
            await parts.worker.close()

    with pytest.raises(RequestRefused) as refused:
        house.run(ask())
    assert refused.value.code == "consent_revoked"
