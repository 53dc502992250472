"""`vouch demo`: the whole story, on the embedded defaults."""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import signal
import time
import warnings
from pathlib import Path
from typing import Annotated

import typer

from vouch.commands.options import Json
from vouch.demo.steps import Promise, Steps
from vouch.embedded_ray import patience
from vouch.output import Failed, emit, err, reporting

TOTAL = 8
MARKER = ".vouch-demo"


def demo(
    output: Annotated[Path, typer.Option(help="Folder for what the demonstration leaves behind.")] = Path(
        "demo-output"
    ),
    as_json: Json = False,
) -> None:
    """Enrol → consent → speak → refuse → narrate → verify → revoke → audit. Exit 1 if a step is not as promised."""
    with reporting(as_json=as_json):
        folder = output.absolute()
        _make_empty(folder)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop what was started, whoever asks
        began = time.monotonic()
        os.environ.setdefault("RAY_DATA_USE_DATASOURCE_V2", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        err.print("importing Ray and the rooms …", markup=False)
        steps = Steps(TOTAL, quiet=as_json)
        failure: Exception | None = None
        with patience():
            _quieten()
            from vouch.demo.story import Story

            story = Story(folder, steps)
            try:
                story.run()
            except Promise as exc:
                failure = exc
            finally:
                summary = steps.write(
                    folder / "summary.json",
                    rows=story.rows,
                    seconds=round(time.monotonic() - began, 1),
                    engine="embedded",
                )
        if failure is not None:
            raise Failed("not_as_promised", str(failure))
        emit(summary, as_json=as_json, human=_lines(summary, folder))


def _quieten() -> None:
    """Ray's own remarks do not belong in the story; they stay in its session's logs."""
    importlib.import_module("ray.data")  # sets its own levels and filters when imported: ours must come after
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    for name in ("ray", "ray.data", "ray.serve"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _make_empty(folder: Path) -> None:
    """Remove an earlier demonstration; never anything else."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise Failed("output_not_empty", f"{folder} holds something else; choose another --output")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()


def _lines(summary: dict[str, object], folder: Path) -> str:
    return (
        f"\nEverything as promised, in {summary['seconds']} s. Look around in {folder}:\n"
        "  clips/            four clips, each with its manifest and watermark\n"
        "  narration/        one row out for each row in, and the clips that still stand\n"
        "  receipts/         what each person was given\n"
        "  audit/            the log, verified offline: vouch audit verify …/audit\n"
        "  trust-anchor.pem  vouch verify …/clips/preset.wav --anchor …/trust-anchor.pem\n"
        "  summary.json      all of the above in figures\n\n"
        "The embedded engine speaks clearly, but it is no clone: for that, configure Qwen3-TTS."
    )
