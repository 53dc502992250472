"""`python -m benchmarks.engine load|profile|calibrate`: JSON lines, as `vouch bench` prints them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.engine.calibrate import calibrate
from benchmarks.engine.load import measure_shape, profile_shape
from benchmarks.engine.shapes import SHAPES
from vouch.bench.engine import config_for
from vouch.bench.engine_requests import MODES
from vouch.bench.figures import machine, show


def main(arguments: Sequence[str] | None = None) -> None:
    given = _parser().parse_args(arguments)
    show(machine())
    if given.command == "calibrate":
        figures = calibrate(config_for("qwen", given.checkpoints, given.device, eager=given.eager))
    elif given.command == "profile":
        figures = profile_shape(
            given.shape, given.mode, given.streams, frames=given.frames, eager=given.eager
        )
    else:
        figures = measure_shape(
            given.shape,
            given.mode,
            given.streams,
            device=given.device,
            frames=given.frames,
            seconds=given.seconds,
            with_peer=not given.no_peer,
            eager=given.eager,
        )
    for figure in figures:
        show(figure)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine")
    commands = parser.add_subparsers(dest="command", required=True)
    load = commands.add_parser(
        "load", help="a shape under load: speed, first audio, underruns, loading, memory"
    )
    load.add_argument("--mode", nargs="+", choices=MODES, default=["clone"])
    load.add_argument("--streams", nargs="+", type=_streams, default=[1, 8], help="at a time")
    load.add_argument("--seconds", type=float, default=8.0, help="for each number of streams")
    load.add_argument("--no-peer", action="store_true", help="without qwen-tts in the same run")
    profile = commands.add_parser("profile", help="where the time of the CPU goes")
    profile.add_argument("--mode", choices=MODES, default="clone")
    profile.add_argument("--streams", type=_streams, default=8)
    for each in (load, profile):
        each.add_argument("--shape", choices=SHAPES, default="tiny")
        each.add_argument("--frames", type=int, default=100, help="codec frames of every utterance")
    budget = commands.add_parser("calibrate", help="frames per character of each language, and a budget")
    budget.add_argument("--checkpoints", type=Path, required=True)
    for each in (load, budget):
        each.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    for each in (load, profile, budget):
        each.add_argument("--eager", action="store_true", help="without the compiler")
    return parser


def _streams(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


if __name__ == "__main__":
    main()
