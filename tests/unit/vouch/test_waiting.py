"""A start that is late says what it waits for, and goes on."""

from __future__ import annotations

import json
import threading

import pytest

from vouch.waiting import Waiting, line_of, tell_on_stderr


def test_waiting_tells_what_is_waited_for_until_it_is_over() -> None:
    told: list[str] = []
    first, second = threading.Event(), threading.Event()

    def tell(what: str, seconds: float) -> None:
        assert seconds >= 0
        told.append(what)
        (first if what == "Ray" else second).set()

    with Waiting(tell, every_s=0.01) as waiting:
        waiting.now_for("Ray")
        assert first.wait(60)
        waiting.now_for("the consent gate")
        assert second.wait(60)
    over = len(told)
    assert set(told) == {"Ray", "the consent gate"}
    assert not any(thread.name == "waiting" for thread in threading.enumerate())
    assert len(told) == over


def test_waiting_tells_nothing_before_there_is_something_to_wait_for() -> None:
    told: list[str] = []
    with Waiting(lambda what, _: told.append(what), every_s=0.001) as waiting:
        waiting._over.wait(0.05)
    assert told == []


def test_the_line_names_what_is_waited_for_and_the_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("os.getloadavg", lambda: (31.0, 0.0, 0.0))
    assert line_of("Ray", 45.2) == "still waiting for Ray (45 s; this machine is busy: load 31 on 2 cores)"
    monkeypatch.setattr("os.getloadavg", lambda: (1.0, 0.0, 0.0))
    assert line_of("Ray", 45.2) == "still waiting for Ray (45 s)"


def test_with_json_each_line_on_stderr_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    tell_on_stderr(as_json=True)("the ingress", 15.04)
    out, err = capsys.readouterr()
    assert (out, json.loads(err)) == ("", {"waiting_for": "the ingress", "seconds": 15.0})
