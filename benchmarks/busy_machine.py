"""A command on a busy machine: `--load` processes that do nothing but compute run beside it until it ends.

    python -m benchmarks.busy_machine --load 8 --times 3 -- .venv/bin/vouch demo
    python -m benchmarks.busy_machine --load 30 --until "ready at" -- .venv/bin/vouch up --port 0

One JSON line for each run goes to standard output: how it ended and after how many seconds; what the command prints
goes to standard error. `--until`: a command that runs until it is stopped has done well once a line matches; it is
then interrupted as by Ctrl-C. The exit code is 0 when every run did well. Ctrl-C or SIGTERM ends both.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """How one run of the command ended. `value`: seconds, to the end or, with `--until`, to the line waited for."""

    bench: str
    case: str
    value: float
    unit: str
    ok: bool
    exit: int
    load_average: float  # of the last minute, when it ended


@contextmanager
def load(count: int) -> Iterator[list[int]]:
    """The process ids of `count` processes that compute until the block ends, or until this process has died."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_compute, args=(os.getpid(),), daemon=True) for _ in range(count)]
    try:
        for process in processes:
            process.start()
        yield [process.pid for process in processes if process.pid is not None]
    finally:
        for process in processes:
            if process.pid is not None:
                process.kill()
                process.join()


def _compute(parent: int) -> None:
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole group; the parent ends this process
    while os.getppid() == parent:
        sum(range(1_000_000))


def run(command: list[str], *, count: int, until: str | None) -> Run:
    """Start the command beside the load, and wait for its end or for a line that matches `until`."""
    with load(count):
        began, seconds = time.monotonic(), None
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    sys.stderr.write(line)
                    sys.stderr.flush()
                    if seconds is None and until is not None and re.search(until, line):
                        seconds = time.monotonic() - began
                        process.send_signal(signal.SIGINT)
                code = process.wait()
            finally:
                if process.poll() is None:
                    process.terminate()
        ok = seconds is not None if until is not None else code == 0
        value = round(seconds if seconds is not None else time.monotonic() - began, 1)
        return Run("busy-machine", f"load-{count}", value, "s", ok, code, round(os.getloadavg()[0], 1))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="busy_machine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--load", type=int, default=8, help="busy processes beside the command")
    parser.add_argument("--times", type=int, default=1, help="how often the command is run")
    parser.add_argument("--until", help="a regular expression; a line that matches it is the end that counts")
    parser.add_argument("command", nargs="+", help="after `--`")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    done_well = True
    for _ in range(given.times):
        result = run(given.command, count=given.load, until=given.until)
        print(json.dumps(asdict(result)), flush=True)
        done_well = done_well and result.ok
    return 0 if done_well else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
