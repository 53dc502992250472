"""What a command waits for, and since when: a line every 15 seconds, so that a slow machine does not look like a
stuck one."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Final, Self

from vouch.output import err

EVERY_S: Final = 15.0


class Waiting:
    """A context: while it lasts, tells what is waited for. `tell` gets what it is, and for how many seconds."""

    def __init__(self, tell: Callable[[str, float], None], *, every_s: float = EVERY_S) -> None:
        self._tell = tell
        self._every_s = every_s
        self._what = ""
        self._since = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="waiting", daemon=True)

    def now_for(self, what: str) -> None:
        """From now on this is waited for. The seconds count from the start of all waiting."""
        self._what = what

    def __enter__(self) -> Self:
        self._since = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            if self._what:
                self._tell(self._what, time.monotonic() - self._since)


def line_of(what: str, seconds: float) -> str:
    """For people."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    busy = f"; this machine is busy: load {load:.0f} on {cores} cores" if load > 2 * cores else ""
    return f"still waiting for {what} ({seconds:.0f} s{busy})"


def tell_on_stderr(*, as_json: bool) -> Callable[[str, float], None]:
    """A `tell` for commands: a line for people, or one JSON object a line."""

    def tell(what: str, seconds: float) -> None:
        if as_json:
            sys.stderr.write(json.dumps({"waiting_for": what, "seconds": round(seconds, 1)}) + "\n")
            sys.stderr.flush()
        else:
            err.print(line_of(what, seconds), markup=False)

    return tell
