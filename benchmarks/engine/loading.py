"""How long an engine takes from nothing to ready, in a process of its own: as at a replica's start.

    python -m benchmarks.engine.loading CONFIG.json

prints the seconds that loading and warming up took, and how many of them went into compiling. Beside the wall clock
stands the time of the CPU, which says the same on a machine that has other things to do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from speech.config import EngineConfig
from vouch.output import Failed


@dataclass(frozen=True, slots=True)
class Loading:
    """Seconds; compile_s is a part of ready_s. cpu_s: of ready_s, what this process and its children computed."""

    ready_s: float
    compile_s: float
    cpu_s: float


def load_once(config: EngineConfig, folder: Path) -> Loading:
    """In a new process. Raises Failed."""
    given = folder / "config.json"
    given.write_text(config.model_dump_json(), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.engine.loading", str(given)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Failed("engine_unavailable", f"the engine did not load: {last}")
    return Loading(**json.loads(done.stdout))


def main(path: Path) -> None:
    from speech.qwen.engine import QwenEngine

    engine = QwenEngine(EngineConfig.model_validate_json(path.read_text(encoding="utf-8")))
    try:
        began, computed = time.perf_counter(), _cpu_s()
        engine.warm_up()
        ready_s, cpu_s = time.perf_counter() - began, _cpu_s() - computed
        compile_s = sum(station.compile_s for station in engine.status().values())
    finally:
        engine.close()
    sys.stdout.write(json.dumps({"ready_s": ready_s, "compile_s": compile_s, "cpu_s": cpu_s}))


def _cpu_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


if __name__ == "__main__":
    main(Path(sys.argv[1]))
