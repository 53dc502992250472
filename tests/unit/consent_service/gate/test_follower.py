"""Long polls of one process share one look at the feed; what it says holds; where it says nothing, they are refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from consent_service.errors import LedgerUnavailable
from consent_service.gate import follower, revocations
from consent_service.gate.follower import RevocationFollower
from consent_service.service import ConsentService
from tests.assets.installation import Tenant

MANY = 20


class Looks:
    """In place of `revocations.head`: each look waits for the test."""

    def __init__(self) -> None:
        self.head, self.begun = 0, 0
        self._began, self._go = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, _: object) -> int:
        self.begun += 1
        self._began.release()
        assert self._go.acquire(timeout=10)
        return self.head

    async def begin(self) -> None:
        """Returns once the next look is under way."""
        assert await asyncio.to_thread(self._began.acquire, timeout=10)

    def end(self, count: int = 1) -> None:
        self._go.release(count)


@pytest.fixture
def followed(world: Tenant) -> Iterator[RevocationFollower]:
    made = world.service.gate.follow_revocations()
    yield made
    made.close()


@pytest.fixture
def looks(world: Tenant, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Looks, RevocationFollower]]:
    """One look after another, without a pause."""
    held = Looks()
    monkeypatch.setattr(revocations, "head", held)
    made = RevocationFollower(world.core, poll_s=0.0)
    yield held, made
    held.end(10_000)
    made.close()


@pytest.mark.on_both_databases
def test_a_withdrawal_by_another_process_reaches_all_who_wait(
    world: Tenant, followed: RevocationFollower
) -> None:
    other = ConsentService.open(world.config, clock=world.clock)

    async def play() -> list[bool]:
        assert not await followed.has_news(0, 0.0)
        waiting = [asyncio.create_task(followed.has_news(0, 3600.0)) for _ in range(MANY)]
        await asyncio.to_thread(other.consents.revoke, world.admin, world.consent_id, "no more")
        return await asyncio.gather(*waiting)

    assert asyncio.run(play()) == [True] * MANY
    assert followed.head == world.service.gate.revocations()[-1].seq
    other.close()


@pytest.mark.parametrize("world", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True)
def test_one_notification_alone_wakes_all_who_wait(world: Tenant) -> None:
    followed = RevocationFollower(world.core, poll_s=3600)

    async def play() -> list[bool]:
        waiting = [asyncio.create_task(followed.has_news(0, 3600.0)) for _ in range(MANY)]
        await asyncio.to_thread(world.service.consents.revoke, world.admin, world.consent_id, "no more")
        return await asyncio.gather(*waiting)

    assert asyncio.run(play()) == [True] * MANY
    closing = threading.Thread(target=followed.close)
    closing.start()
    while closing.is_alive():  # this follower would look again only after an hour
        with world.core.ledger.look() as connection:
            connection.execute(text("NOTIFY vouch_revocations"))
        closing.join(0.1)


def test_all_who_wait_share_one_look(looks: tuple[Looks, RevocationFollower]) -> None:
    held, followed = looks

    async def play() -> list[bool]:
        first = asyncio.create_task(followed.has_news(0, 0.0))
        await held.begin()
        waiting = [asyncio.create_task(followed.has_news(0, 0.0)) for _ in range(MANY)]
        await asyncio.sleep(0)
        held.end(2)
        return await asyncio.gather(first, *waiting)

    assert asyncio.run(play()) == [False] * (1 + MANY)
    assert held.begun <= 3, "the one that was under way, one for all others, and the next"


def test_no_news_is_said_only_by_a_look_that_began_after_the_question(
    looks: tuple[Looks, RevocationFollower],
) -> None:
    held, followed = looks

    async def play() -> bool:
        first = asyncio.create_task(followed.has_news(0, 0.0))
        await held.begin()
        second = asyncio.create_task(followed.has_news(0, 0.0))
        await asyncio.sleep(0)
        held.end()
        assert not await first
        await held.begin()
        assert not second.done(), "what was committed since the first look began is not known"
        held.head = 1
        held.end()
        return await second

    assert asyncio.run(play())


def test_a_look_that_fails_refuses_all_who_wait_and_the_next_look_serves_again(
    world: Tenant, followed: RevocationFollower
) -> None:
    def rename(old: str, new: str) -> None:
        with world.core.ledger.write() as connection:
            connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    async def play() -> list[bool | BaseException]:
        assert not await followed.has_news(0, 0.0)
        waiting = [asyncio.create_task(followed.has_news(0, 3600.0)) for _ in range(MANY)]
        await asyncio.to_thread(rename, "revocations", "broken")
        refused = await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.to_thread(rename, "broken", "revocations")
        assert not await followed.has_news(0, 0.0)
        return refused

    assert all(isinstance(each, LedgerUnavailable) for each in asyncio.run(play()))


def test_a_follower_that_dies_refuses_all_who_wait(
    world: Tenant, followed: RevocationFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies = threading.Event()

    def head(_: object) -> int:
        if dies.is_set():
            raise RuntimeError("unforeseen")
        return 0

    monkeypatch.setattr(revocations, "head", head)

    async def play() -> list[bool | BaseException]:
        waiting = [asyncio.create_task(followed.has_news(0, 3600.0)) for _ in range(MANY)]
        await asyncio.sleep(0)
        dies.set()
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert all(isinstance(each, LedgerUnavailable) for each in asyncio.run(play()))


def test_a_ledger_that_does_not_answer_refuses_whoever_waits(
    looks: tuple[Looks, RevocationFollower], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, followed = looks
    monkeypatch.setattr(revocations, "STALE_AFTER_S", 0.01)
    with pytest.raises(LedgerUnavailable):
        asyncio.run(followed.has_news(0, 0.0))


def test_a_follower_that_is_closed_refuses_those_who_wait_and_those_who_come(
    world: Tenant, followed: RevocationFollower
) -> None:
    async def play() -> None:
        waiting = asyncio.create_task(followed.has_news(0, 3600.0))
        await asyncio.sleep(0)
        await asyncio.to_thread(followed.close)
        for refused in (waiting, followed.has_news(0, 3600.0)):
            with pytest.raises(LedgerUnavailable):
                await refused

    asyncio.run(play())


def test_nobody_who_waits_no_look_and_whoever_comes_is_served_on_any_loop(
    world: Tenant, followed: RevocationFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "IDLE_S", 0.0)
    for _ in range(2):
        assert not asyncio.run(followed.has_news(0, 0.0))
        thread = followed._thread
        if thread is not None:
            thread.join(10)
            assert not thread.is_alive()
