"""An examiner's process: asked again once when it died, never taken for a "yes", and patient while it works.

How it is bounded is the promise of `foundation.worker_process`, and is tested there.
"""

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
from consent_service.examination.config import ExaminationConfig
from consent_service.examination.process import ExaminerProcess

Start = Callable[..., ExaminerProcess]

LOOP = """
import json, os, resource, signal, sys
sys.path.insert(0, {root!r})
from foundation.worker_process import READY, answer, answers, requests
{before}
out = answers()
answer(out, READY)
for request, recordings in requests():
    answer(out, b"A", json.dumps({value}).encode())
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[ExaminerProcess] = []

    def begin(value: str, before: str = "", **changes: Any) -> ExaminerProcess:
        path = tmp_path / f"examiner{len(made)}.py"
        path.write_text(LOOP.format(root=str(Path(__file__).parents[4]), before=before, value=value))
        config = ExaminationConfig(memory_mb=512, **changes)
        made.append(ExaminerProcess((sys.executable, "-S", str(path)), config))
        return made[-1]

    yield begin
    for process in made:
        process.close()


def test_one_that_was_killed_is_replaced(start: Start) -> None:
    process = start('{"pid": os.getpid()}')
    first = process.ask({}, [])["pid"]
    assert process.ask({}, [])["pid"] == first == process.pid
    os.kill(first, signal.SIGKILL)
    assert process.ask({}, [])["pid"] not in (first, None)


def test_one_that_dies_of_every_question_is_unavailable(start: Start) -> None:
    process = start("os._exit(1)")
    with pytest.raises(ExaminationUnavailable) as error:
        process.ask({}, [b"recording"])
    assert error.value.code == "examination_unavailable"
    assert process.pid is None


def test_one_that_can_not_be_started_is_unavailable(tmp_path: Path) -> None:
    process = ExaminerProcess((str(tmp_path / "nothing"),), ExaminationConfig())
    process.warm_up()
    with pytest.raises(ExaminationUnavailable):
        process.ask({}, [])


def test_one_that_hangs_is_given_up_and_not_asked_again(start: Start, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    process = start(f"open({str(asked)!r}, 'a').write('x') and signal.pause()", stall_s=0.5)
    with pytest.raises(ExaminationUnavailable, match="no progress"):
        process.ask({}, [b"x" * 1_000_000])
    assert process.pid is None
    assert asked.read_text() == "x"


def test_one_that_uses_up_its_processor_time_is_given_up(start: Start) -> None:
    spin = "[None for _ in iter(int, 1)]"
    with pytest.raises(ExaminationUnavailable, match="too long"):
        start(spin, cpu_s=0.3, stall_s=4.0).ask({}, [])


@pytest.mark.parametrize("answer", ['"yes"', "[]", '{"failed": "ValueError"}', '"x" * 100_000'])
def test_what_is_no_answer_is_not_taken_for_one(start: Start, answer: str) -> None:
    with pytest.raises(ExaminationUnavailable):
        start(answer).ask({}, [])


def test_its_memory_is_bounded_as_configured(start: Start) -> None:
    told = start('{"data": resource.getrlimit(resource.RLIMIT_DATA)}').ask({}, [])
    assert told == {"data": [512 << 20] * 2}


def test_callers_take_turns(start: Start) -> None:
    process = start('{"said": request["said"]}')
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


def test_one_that_was_warmed_up_is_asked_without_another_start(start: Start) -> None:
    process = start('{"pid": os.getpid()}')
    process.warm_up()
    warm = process.pid
    assert warm is not None
    assert process.ask({}, []) == {"pid": warm}


def test_closing_does_not_wait_for_a_start(start: Start, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    process = start("{}", before=f"open({str(begun)!r}, 'w').close(); signal.pause()")
    warming = threading.Thread(target=process.warm_up)
    warming.start()
    begun.open().close()
    process.close()
    warming.join()
    assert process.pid is None


def test_it_ends_with_its_owner(start: Start) -> None:
    process = start('{"pid": os.getpid()}')
    pid = process.ask({}, [])["pid"]
    process.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    process.close()
