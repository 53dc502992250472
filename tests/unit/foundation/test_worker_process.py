"""A worker is bounded by what it does, not by the clock: who works on is waited for, who hangs or spins is ended."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from foundation.worker_process import READY, Patience, WorkerGone, WorkerProcess, WorkerStuck

Start = Callable[..., WorkerProcess]
ANSWER = b"A"
LONGEST = {ANSWER: 1 << 20}
PROGRAM = """
import json, os, resource, signal, subprocess, sys, time
from foundation.worker_process import READY, answer, answers, requests
{before}
out = answers()
answer(out, READY, b"here")
for request, parts in requests():
    {do}
    answer(out, b"A", json.dumps({value}).encode())
"""
HANG = "signal.pause()"
SPIN = "while True: pass"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[WorkerProcess] = []

    def begin(do: str = "pass", value: str = "request", *, before: str = "", **options: Any) -> WorkerProcess:
        path = tmp_path / f"worker{len(made)}.py"
        path.write_text(PROGRAM.format(before=before, do=do, value=value))
        options = {"answer": Patience(), **options}
        made.append(WorkerProcess((sys.executable, "-S", str(path)), **options))
        return made[-1]

    yield begin
    for process in made:
        process.close()


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[3]))


def asked(process: WorkerProcess, request: dict[str, Any] | None = None, *parts: bytes) -> bytes:
    process.ask(request or {}, parts)
    return process.receive(LONGEST)[1]


# what goes over the pipe ---------------------------------------------------------------------------------------------


def test_a_worker_starts_with_the_first_request_and_stays(start: Start) -> None:
    process = start(value='[request["op"], [len(p) for p in parts], os.getpid()]')
    assert process.pid is None
    told = asked(process, {"op": "look"}, b"x" * 3_000_000, b"")
    assert told == f'["look", [3000000, 0], {process.pid}]'.encode()
    assert asked(process, {"op": "look"}).endswith(f"{process.pid}]".encode())
    assert process.start() == b"here"


def test_what_a_library_prints_is_no_answer(start: Start) -> None:
    assert asked(start('print("a greeting", flush=True)')) == b"{}"


@pytest.mark.parametrize(
    "answered", ['answer(out, b"Z")', 'answer(out, b"A", bytes(1 << 21))', 'os.write(out, b"{}\\n" * 9)']
)
def test_what_is_no_answer_ends_the_worker(start: Start, answered: str) -> None:
    process = start(answered)
    with pytest.raises(WorkerGone):
        asked(process)
    assert process.pid is None


def test_a_line_that_is_no_request_is_not_answered(start: Start) -> None:
    process = start()
    process.ask({"long": "x" * 100_000})
    with pytest.raises(WorkerGone) as gone:
        process.receive(LONGEST)
    assert gone.value.args == (0,)


# the end of a worker -------------------------------------------------------------------------------------------------


def test_a_worker_that_can_not_be_started_is_gone(tmp_path: Path) -> None:
    with pytest.raises(WorkerGone) as gone:
        WorkerProcess((str(tmp_path / "nothing"),), Patience()).start()
    assert gone.value.args == (None,)


def test_a_worker_that_dies_within_an_answer_is_gone_with_its_status_and_replaced(start: Start) -> None:
    process = start('request.get("die") and (os.write(out, b"A"), os._exit(7))')
    with pytest.raises(WorkerGone) as gone:
        asked(process, {"die": True})
    assert gone.value.args == (7,)
    assert asked(process) == b"{}"


def test_a_worker_that_dies_before_it_has_read_is_gone(start: Start) -> None:
    process = start(before="pid = os.getpid()", value="pid")
    first = int(asked(process))
    os.kill(first, signal.SIGKILL)
    with pytest.raises(WorkerGone):
        asked(process, {}, b"x" * 3_000_000)
    assert int(asked(process)) != first


def test_a_worker_that_nobody_asks_ends_with_status_0(start: Start) -> None:
    process = start(idle_s=0.05)
    process.start()
    assert process.pid is not None
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(WorkerGone) as gone:
        process.ask({})
        process.receive(LONGEST)
    assert gone.value.args == (0,)


def test_closing_ends_the_process(start: Start) -> None:
    process = start()
    process.start()
    pid = process.pid
    assert pid is not None
    assert process.close() == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert process.close() is None


def test_another_thread_may_end_it_while_an_answer_is_waited_for(start: Start) -> None:
    process = start(f'answer(out, b"A", b"begun"); {HANG}')
    process.ask({})
    process.receive(LONGEST)
    threading.Thread(target=process.kill).start()
    with pytest.raises(WorkerGone) as gone:
        process.receive(LONGEST)
    assert gone.value.args == (-signal.SIGKILL,)


def test_a_worker_ends_with_the_process_that_started_it(start: Start) -> None:
    program = f"""
import os, signal, sys
from foundation.worker_process import Patience, WorkerProcess
worker = WorkerProcess((sys.executable, "-S", {str(start()._command[-1])!r}), Patience())
worker.start()
print(worker.pid, flush=True)
signal.pause()
"""
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    worker = psutil.Process(int(owner.stdout.readline()))
    owner.kill()
    owner.communicate()
    psutil.wait_procs([worker], timeout=60)
    assert not worker.is_running()


# patience ------------------------------------------------------------------------------------------------------------

SHORT = Patience(cpu_s=60.0, stall_s=0.4, wall_s=1e9)


@pytest.mark.parametrize("read", [True, False], ids=["after its request", "before it has read"])
def test_a_worker_that_hangs_in_an_answer_is_ended(start: Start, read: bool) -> None:
    """Also one that never reads what is sent: a recording is longer than a pipe."""
    process = start(HANG, answer=SHORT) if read else start(before="", do=HANG, answer=SHORT)
    process.start()
    if not read:
        os.kill(process.pid or 0, signal.SIGSTOP)
    with pytest.raises(WorkerStuck):
        asked(process, {}, b"x" * 3_000_000)
    assert process.pid is None


def test_a_worker_that_spins_is_ended_at_its_processor_time(start: Start) -> None:
    process = start(SPIN, answer=Patience(cpu_s=0.3, stall_s=4.0, wall_s=1e9))
    with pytest.raises(WorkerStuck):
        asked(process)
    assert process.pid is None


def test_the_processor_time_of_what_a_worker_started_counts_and_it_is_ended_too(
    start: Start, tmp_path: Path
) -> None:
    child = (
        f"child = subprocess.Popen([sys.executable, '-S', '-c', '{SPIN}']); "
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid)); child.wait()"
    )
    process = start(child, answer=Patience(cpu_s=0.5, stall_s=4.0, wall_s=1e9))
    with pytest.raises(WorkerStuck):
        asked(process)
    with suppress(psutil.NoSuchProcess):
        left = psutil.Process(int((tmp_path / "child").read_text()))
        assert left.status() == psutil.STATUS_ZOMBIE or left.wait(10) is None


def test_processor_time_is_counted_for_each_answer_anew(start: Start) -> None:
    burn = "begun = time.process_time()\n    while time.process_time() - begun < 0.3: pass"
    process = start(burn, answer=Patience(cpu_s=0.5, stall_s=4.0, wall_s=1e9))
    assert [asked(process) for _ in range(3)] == [b"{}"] * 3


def test_a_worker_that_is_slow_but_works_is_waited_for(start: Start) -> None:
    """It is stopped and goes on, again and again: for longer in all than a stall, and never for as long as one."""
    work = "begun = time.process_time()\n    while time.process_time() - begun < 0.15: pass"
    process = start(work, answer=Patience(cpu_s=60.0, stall_s=2.0, wall_s=1e9))
    process.start()
    worker, done = psutil.Process(process.pid), threading.Event()

    def throttle() -> None:
        while not done.is_set():
            before = sum(worker.cpu_times()[:2])
            worker.suspend()
            done.wait(0.25)
            worker.resume()
            while not done.is_set() and sum(worker.cpu_times()[:2]) <= before:
                done.wait(0.005)

    throttling = threading.Thread(target=throttle)
    throttling.start()
    try:
        assert asked(process) == b"{}"
    finally:
        done.set()
        throttling.join()


def test_a_start_has_a_patience_of_its_own(start: Start) -> None:
    slow = "begun = time.process_time()\nwhile time.process_time() - begun < 2.0: pass"  # several looks
    strict = Patience(cpu_s=0.2, stall_s=4.0, wall_s=1e9)
    assert asked(start(before=slow, answer=strict)) == b"{}"
    with pytest.raises(WorkerStuck):
        asked(start(before=slow, answer=Patience(), start=strict))


@pytest.mark.parametrize("never", [HANG, SPIN], ids=["hangs", "spins"])
def test_a_start_that_never_ends_is_ended(start: Start, never: str) -> None:
    process = start(before=never, answer=Patience(), start=Patience(cpu_s=0.3, stall_s=0.4, wall_s=1e9))
    with pytest.raises(WorkerStuck):
        process.start()
    assert process.pid is None


def test_the_wall_clock_is_the_last_resort(start: Start) -> None:
    drip = (
        'while True: os.write(out, b"A\\0\\1\\0\\0" if not request else b"."); request = 1; time.sleep(0.02)'
    )
    process = start(drip, answer=Patience(cpu_s=1e9, stall_s=2.0, wall_s=0.5))
    with pytest.raises(WorkerStuck):
        asked(process)


# what it can't do ----------------------------------------------------------------------------------------------------


def test_its_memory_is_bounded_and_it_leaves_no_core_dump(start: Start) -> None:
    process = start(value='[len(bytearray(request["bytes"])), resource.getrlimit(4)]', memory_bytes=256 << 20)
    assert resource.RLIMIT_CORE == 4
    assert asked(process, {"bytes": 1_000_000}) == b"[1000000, [0, 0]]"
    with pytest.raises(WorkerGone):
        asked(process, {"bytes": 400_000_000})


def test_it_gets_no_secret_of_ours(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "marked-secret")
    told = asked(start(value="dict(os.environ)"))
    assert b"marked-secret" not in told
    assert b"OMP_NUM_THREADS" in told


def test_a_request_stands_in_no_argument_list(start: Start) -> None:
    process = start()
    asked(process, {"text": "confidential"})
    assert b"confidential" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert READY == b"R"


def test_the_module_stays_small() -> None:
    """Where it grows, a room's own matter has come in."""
    path = Path(__file__).resolve().parents[3] / "foundation" / "worker_process.py"
    assert len([line for line in path.read_text().splitlines() if line.strip()]) <= 200
