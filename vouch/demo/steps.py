"""How the demonstration keeps count: each step is timed, says on the terminal what came of it, and goes into
`summary.json`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vouch.output import err
from vouch.waiting import Waiting, line_of


class Promise(Exception):
    """A step did not turn out as promised."""

    code = "not_as_promised"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def promise(held: bool, what: str) -> None:
    """Raises Promise unless `held`."""
    if not held:
        raise Promise(f"not as promised: {what}")


class Steps:
    """The steps so far. `quiet`: nothing but the summary."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        self._total = total
        self._quiet = quiet
        self.results: dict[str, dict[str, Any]] = {}
        self._waiting: Waiting | None = None

    def waits_for(self, what: str) -> None:
        """Within the present step."""
        if self._waiting is not None:
            self._waiting.now_for(what)

    def say(self, line: str) -> None:
        if not self._quiet:
            err.print(f"      {line}", markup=False)

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[dict[str, Any]]:
        """Give the step a place for its figures; what it raises is recorded and goes on."""
        if not self._quiet:
            err.print(f"[bold]\\[{len(self.results) + 1}/{self._total}][/bold] {title}")
        figures: dict[str, Any] = {}
        began = time.monotonic()
        result = self.results[name] = {"ok": False, "seconds": 0.0}
        try:
            with Waiting(lambda what, seconds: self.say(line_of(what, seconds))) as self._waiting:
                self.waits_for("the end of this step")
                yield figures
            result["ok"] = True
        except BaseException as exc:
            result["error"] = {
                "code": getattr(exc, "code", type(exc).__name__),
                "message": getattr(exc, "message", str(exc)),
            }
            raise
        finally:
            result["seconds"] = round(time.monotonic() - began, 2)
            result.update(figures)
            if not self._quiet:
                err.print(
                    f"      {'done' if result['ok'] else 'FAILED'} in {result['seconds']:.1f} s", markup=False
                )

    def write(self, path: Path, **more: Any) -> dict[str, Any]:
        summary = {"ok": all(step["ok"] for step in self.results.values()), "steps": self.results, **more}
        path.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return summary
