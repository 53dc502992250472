"""A withdrawal reaches whoever follows the feed, once, in order, and whoever can't follow it knows that."""

from __future__ import annotations

import threading
from itertools import islice
from pathlib import Path

import pytest
from sqlalchemy import text

from consent_service.errors import LedgerUnavailable
from consent_service.gate.revocations import Freshness, RevocationStream
from consent_service.models import Revocation
from consent_service.service import ConsentService
from tests.assets.installation import Clock, Tenant


def follow(stream: RevocationStream) -> tuple[threading.Thread, list[Revocation], threading.Event]:
    """A thread that iterates to the end."""
    told: list[Revocation] = []
    came = threading.Event()

    def run() -> None:
        for entry in stream:
            told.append(entry)
            came.set()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, told, came


@pytest.mark.on_both_databases
def test_a_follower_hears_of_a_withdrawal_by_another_process_and_can_be_let_go(world: Tenant) -> None:
    other = ConsentService.open(world.config, clock=world.clock)
    stream = world.service.gate.watch_revocations()
    thread, told, came = follow(stream)
    revoked = other.consents.revoke(world.admin, world.consent_id, "no more")
    assert came.wait(10)
    stream.close()
    thread.join(10)
    assert not thread.is_alive()
    assert told == [revoked]
    other.close()


@pytest.mark.on_both_databases
def test_a_follower_resumes_after_what_it_saw(world: Tenant) -> None:
    other = world.record().consent.consent_id
    first = world.service.consents.revoke(world.admin, world.consent_id, "first")
    second = world.service.consents.revoke(world.admin, other, "second")
    with (
        world.service.gate.watch_revocations() as everything,
        world.service.gate.watch_revocations(first.seq) as later,
    ):
        assert list(islice(everything, 2)) == [first, second]
        assert next(later) == second
        assert not later.pull()


@pytest.mark.on_both_databases
def test_a_withdrawal_that_was_not_committed_is_not_heard_of(world: Tenant) -> None:
    with pytest.raises(ZeroDivisionError), world.core.write_as("acme") as writing:
        writing.publish_revocation(world.voice.voice_id, 9, None, "undone")
        raise ZeroDivisionError
    with world.service.gate.watch_revocations() as stream:
        assert not stream.pull()


@pytest.mark.on_both_databases
def test_polling_alone_is_enough(world: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.core.ledger, "listen", lambda _: None)
    stream = world.service.gate.watch_revocations()
    thread, told, came = follow(stream)
    world.service.consents.revoke(world.admin, world.consent_id, "no more")
    assert came.wait(10)
    stream.close()
    thread.join(10)
    assert len(told) == 1


@pytest.mark.parametrize("world", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True)
def test_a_notification_alone_wakes_a_follower(world: Tenant) -> None:
    stream = RevocationStream(world.core, poll_s=3600)
    thread, _, came = follow(stream)
    world.service.consents.revoke(world.admin, world.consent_id, "no more")
    assert came.wait(10)
    stream.close()
    # Let go by the next notification: this test's stream would ask again only after an hour.
    with world.core.ledger.look() as connection:
        connection.execute(text("NOTIFY vouch_revocations"))
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("world", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True)
def test_a_listener_that_lost_its_connection_goes_on(world: Tenant) -> None:
    stream = world.service.gate.watch_revocations()
    thread, _, came = follow(stream)
    with world.core.ledger.look() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
        )
    world.service.consents.revoke(world.admin, world.consent_id, "no more")
    assert came.wait(10)
    stream.close()
    thread.join(10)


@pytest.mark.on_both_databases
def test_a_ledger_that_is_gone_ends_no_stream_and_freshens_nothing(world: Tenant) -> None:
    clock = Clock(100.0)
    with RevocationStream(world.core, freshness=Freshness(clock=clock)) as stream:
        assert not stream.freshness.is_fresh  # it has not asked yet
        stream.pull()
        assert stream.freshness.is_fresh
        with world.core.ledger.write() as connection:
            connection.execute(text("ALTER TABLE revocations RENAME TO broken"))
        clock.now += 0.8
        assert not stream.pull()
        assert not stream.freshness.is_fresh
        with pytest.raises(LedgerUnavailable):
            stream.freshness.require()


@pytest.mark.on_both_databases
def test_knowledge_is_as_old_as_the_moment_of_asking(tmp_path: Path) -> None:
    clock = Clock(50.0)
    known = Freshness(clock=clock)
    asked = known.asking()
    clock.now += 0.5  # a slow answer
    known.answered(asked)
    known.require()
    clock.now += 0.3
    with pytest.raises(LedgerUnavailable):
        known.require()
    known.answered(asked - 10)  # an answer that came late changes nothing
    assert known.age_s == pytest.approx(0.8)
