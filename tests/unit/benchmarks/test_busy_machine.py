"""The load is there while the command runs, and gone when it has ended, however it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from benchmarks.busy_machine import load, run

ROOT = Path(__file__).parents[3]


def test_the_load_computes_until_the_block_ends() -> None:
    with load(2) as pids:
        assert len(pids) == 2
        assert all(psutil.pid_exists(pid) for pid in pids)
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_command_that_ends_is_reported_with_its_code() -> None:
    done = run([sys.executable, "-c", "raise SystemExit(3)"], count=0, until=None)
    assert (done.ok, done.exit, done.case) == (False, 3, "load-0")


def test_a_command_that_goes_on_is_interrupted_at_the_line_waited_for() -> None:
    code = "import time; print('ready at last', flush=True); time.sleep(600)"
    done = run([sys.executable, "-c", code], count=0, until="ready at")
    assert done.ok
    assert done.exit != 0  # the signal's


def test_ctrl_c_ends_the_command_and_the_load() -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    command = [
        sys.executable,
        "-m",
        "benchmarks.busy_machine",
        "--load",
        "2",
        "--",
        sys.executable,
        "-c",
        code,
    ]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stderr is not None
    inner = int(process.stderr.readline())
    family = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(120) == 130
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
    assert not psutil.pid_exists(inner)


def test_a_report_is_one_json_line() -> None:
    command = [sys.executable, "-m", "benchmarks.busy_machine", "--load", "1", "--", sys.executable, "-c", ""]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    line = json.loads(done.stdout)
    assert (line["bench"], line["case"], line["ok"], line["unit"]) == ("busy-machine", "load-1", True, "s")
    assert 0 <= line["value"] <= time.monotonic() - began
