"""When a renewal is tried, and how often one that fails."""

from __future__ import annotations

import threading

import pytest

from consent_service.keys.keeper import FIRST_RETRY_S, LAST_RETRY_S, CertificateRenewer
from consent_service.keys.lifetime import Lifetime
from tests.assets.installation import Clock

LIFE = Lifetime(begins=0.0, ends=12_000_000.0)
DUE = 8_000_001.0


class Failing:
    """A renewal that never comes about, and the moments of its tries."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.at: list[float] = []

    def __call__(self) -> None:
        self.at.append(self.clock.now)
        raise RuntimeError("a text that no log should hold")


def tries(clock: Clock, keeper: CertificateRenewer, seconds: float, step: float) -> None:
    until = clock.now + seconds
    while clock.now < until:
        keeper.look(LIFE)
        keeper.wait(10)
        clock.now += step


def test_a_life_is_a_share_between_its_ends() -> None:
    assert [LIFE.left(now) for now in (-5.0, 0.0, 6_000_000.0, 12_000_000.0, 9e9)] == [
        1.0,
        1.0,
        0.5,
        0.0,
        0.0,
    ]
    assert [LIFE.is_due(now) for now in (8_000_000.0, DUE)] == [False, True]
    assert [LIFE.is_over(now) for now in (11_999_999.0, 12_000_000.0)] == [False, True]
    assert LIFE.last_day == "1970-05-19"


def test_before_it_is_due_nothing_is_tried() -> None:
    clock = Clock(0.0)
    failing = Failing(clock)
    tries(clock, CertificateRenewer(failing, clock), DUE, 100_000.0)
    assert failing.at == []


def test_tries_become_rarer_until_there_is_one_a_day(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(DUE)
    failing = Failing(clock)
    tries(clock, CertificateRenewer(failing, clock), 10 * LAST_RETRY_S, FIRST_RETRY_S)
    pauses = [b - a for a, b in zip(failing.at, failing.at[1:], strict=False)]
    assert failing.at[0] == DUE
    assert pauses[:4] == [FIRST_RETRY_S * 2**n for n in range(4)]
    assert max(pauses) == pauses[-1] == LAST_RETRY_S
    assert len(caplog.records) == len(failing.at)
    assert "RuntimeError" in caplog.text
    assert "a text that no log should hold" not in caplog.text


def test_once_the_leaf_has_ended_it_is_tried_each_minute() -> None:
    clock = Clock(DUE)
    failing = Failing(clock)
    keeper = CertificateRenewer(failing, clock)
    tries(clock, keeper, 10 * LAST_RETRY_S, LAST_RETRY_S / 2)
    clock.now, failing.at = LIFE.ends, []
    tries(clock, keeper, 10 * FIRST_RETRY_S, FIRST_RETRY_S / 2)
    assert len(failing.at) == 10


def test_one_renewal_runs_at_a_time_and_none_after_the_end() -> None:
    clock, begun, go = Clock(DUE), threading.Semaphore(0), threading.Event()

    def renew() -> None:
        begun.release()
        go.wait(10)

    keeper = CertificateRenewer(renew, clock)
    for _ in range(5):
        keeper.look(LIFE)
    assert begun.acquire(timeout=10)
    go.set()
    keeper.close()
    clock.now += 10 * LAST_RETRY_S
    keeper.look(LIFE)
    keeper.wait(10)
    assert not begun.acquire(blocking=False)


def test_a_machine_without_room_for_a_thread_fails_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(DUE)
    failing = Failing(clock)
    keeper = CertificateRenewer(failing, clock)

    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", full)
        keeper.look(LIFE)
    keeper.look(LIFE)
    keeper.wait(10)
    assert failing.at == [DUE]
