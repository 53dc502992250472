"""What takes long holds up nobody who is owed an answer: whoever may not, and a voice that is to be silent."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from consent_service.errors import ConsentError, ExaminationUnavailable
from consent_service.http.consent_api import Caller
from consent_service.http.local import _EXAMINED_AT_ONCE, LocalConsentApi
from consent_service.models import EnrolmentAnswer
from tests.assets.installation import Tenant

ANSWER = EnrolmentAnswer(b"reference", "what is said", b"statement")


def with_busy_examiners(world: Tenant, monkeypatch: pytest.MonkeyPatch, waiting: int, play: Any) -> None:
    """`play` runs while so many enrolments are being examined, or wait for that."""
    go_on = threading.Event()

    def examine(*_: object) -> None:
        go_on.wait()

    async def run() -> None:
        api = LocalConsentApi(world.service)
        monkeypatch.setattr(world.service.voices, "complete_enrolment", examine)
        admin = Caller(world.keys["admin"])
        enrolling = [asyncio.create_task(api.complete_enrolment(admin, "e", ANSWER)) for _ in range(waiting)]
        try:
            while api._room._value > _EXAMINED_AT_ONCE - waiting:
                await asyncio.sleep(0.001)
            await play(api, admin)
            assert not any(task.done() for task in enrolling)
        finally:
            go_on.set()
            await asyncio.gather(*enrolling)
            await asyncio.to_thread(api.close)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_deletion_does_not_wait_for_an_examiner(world: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(api: LocalConsentApi, admin: Caller) -> None:
        assert (await api.decommission(admin, world.voice.voice_id, "over")).state == "decommissioned"

    with_busy_examiners(world, monkeypatch, 4, play)


def test_a_caller_who_may_not_is_refused_before_waiting(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(api: LocalConsentApi, _: Caller) -> None:
        with pytest.raises(ConsentError) as refused:
            await api.complete_enrolment(Caller(world.keys["narrator"]), "e", ANSWER)
        assert refused.value.code == "permission_denied"

    with_busy_examiners(world, monkeypatch, 4, play)


def test_beyond_a_short_queue_nothing_waits_for_an_examiner(
    world: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(api: LocalConsentApi, admin: Caller) -> None:
        with pytest.raises(ExaminationUnavailable):
            await api.complete_enrolment(admin, "e", ANSWER)

    with_busy_examiners(world, monkeypatch, _EXAMINED_AT_ONCE, play)
