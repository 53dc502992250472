"""An examiner's process: bounded, replaced when it dies, told nothing it need not know, and never taken for a "yes"."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consent_service.errors import ExaminationUnavailable
from consent_service.examination.process import ExaminerProcess

Start = Callable[..., ExaminerProcess]

LOOP = """
import json, os, sys
for line in iter(sys.stdin.buffer.readline, b""):
    request = json.loads(line)
    recordings = [sys.stdin.buffer.read(size) for size in request["sizes"]]
    answer = {answer}
    sys.stdout.write(json.dumps(answer) + "\\n")
    sys.stdout.flush()
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[ExaminerProcess] = []

    def begin(program: str, **changes: Any) -> ExaminerProcess:
        path = tmp_path / f"examiner{len(made)}.py"
        path.write_text(program)
        bounds = {"timeout_s": 20.0, "memory_mb": 512, "idle_s": 60.0, **changes}
        made.append(ExaminerProcess((sys.executable, "-S", str(path)), **bounds))
        return made[-1]

    yield begin
    for process in made:
        process.close()


def answering(expression: str) -> str:
    return LOOP.format(answer=expression)


def test_it_starts_when_it_is_asked_first_and_stays(start: Start) -> None:
    process = start(
        answering('{"pid": os.getpid(), "got": [len(r) for r in recordings], "asked": request["op"]}')
    )
    assert process.pid is None
    first = process.ask({"op": "look"}, [b"x" * 3_000_000, b""])
    assert first == {"pid": process.pid, "got": [3_000_000, 0], "asked": "look"}
    assert process.ask({"op": "look"}, [])["pid"] == first["pid"]


def test_one_that_was_killed_is_replaced(start: Start) -> None:
    process = start(answering('{"pid": os.getpid()}'))
    first = process.ask({}, [])["pid"]
    os.kill(first, signal.SIGKILL)
    assert process.ask({}, [])["pid"] not in (first, None)


def test_one_that_dies_of_every_question_is_unavailable(start: Start) -> None:
    process = start(answering("os._exit(1)"))
    with pytest.raises(ExaminationUnavailable) as error:
        process.ask({}, [b"recording"])
    assert error.value.code == "examination_unavailable"
    assert process.pid is None


def test_one_that_can_not_be_started_is_unavailable(tmp_path: Path) -> None:
    process = ExaminerProcess((str(tmp_path / "nothing"),), timeout_s=5.0, memory_mb=512, idle_s=60.0)
    with pytest.raises(ExaminationUnavailable):
        process.ask({}, [])


@pytest.mark.parametrize(
    "program", ["import time; time.sleep(600)", "import sys, time; sys.stdin.readline(); time.sleep(600)"]
)
def test_one_that_hangs_is_ended_in_time(start: Start, program: str) -> None:
    """Also one that never reads what is sent: a recording is longer than a pipe."""
    process = start(program, timeout_s=0.5)
    with pytest.raises(ExaminationUnavailable, match="in time"):
        process.ask({}, [b"x" * 1_000_000])
    assert process.pid is None


@pytest.mark.parametrize("answer", ['"yes"', "[]", '{"failed": "ValueError"}', '"x" * 100_000'])
def test_what_is_no_answer_is_not_taken_for_one(start: Start, answer: str) -> None:
    with pytest.raises(ExaminationUnavailable):
        start(answering(answer)).ask({}, [])


def test_its_memory_is_bounded(start: Start) -> None:
    process = start(answering('{"bytes": len(bytearray(request["bytes"]))}'), memory_mb=256)
    assert process.ask({"bytes": 1_000_000}, []) == {"bytes": 1_000_000}
    with pytest.raises(ExaminationUnavailable):
        process.ask({"bytes": 400_000_000}, [])


def test_it_gets_no_secret_of_ours_and_leaves_no_core_dump(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOUCH_RECOGNISER_KEY", "marked-secret")
    told = start(
        answering('{"environment": dict(os.environ), "core": __import__("resource").getrlimit(4)}')
    ).ask({}, [])
    assert "marked-secret" not in str(told)
    assert told["core"] == [0, 0]


def test_callers_take_turns(start: Start) -> None:
    process = start(answering('{"said": request["said"]}'))
    said: dict[int, Any] = {}
    threads = [
        threading.Thread(
            target=lambda n=n: said.update({n: process.ask({"said": n}, [b"x" * 100_000])["said"]})
        )
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {n: n for n in range(8)}


def test_it_ends_with_its_owner(start: Start) -> None:
    process = start(answering('{"pid": os.getpid()}'))
    pid = process.ask({}, [])["pid"]
    process.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    process.close()
