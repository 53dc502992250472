"""`vouch bench`: one JSON line per figure, and the machine first.

Lines are JSON with or without --json, which only turns errors into JSON too. A figure is worth something only beside
its peer, taken in the same run. The measurements are in `vouch.bench`, imported when asked for: they bring torch and
Ray with them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from vouch.bench.figures import Figure, machine, show
from vouch.commands.options import Json
from vouch.home import open_home
from vouch.output import reporting

app = typer.Typer(
    help="Measure this machine: one JSON line per figure, with the peer it was measured against.",
    no_args_is_help=True,
)

Seconds = Annotated[float, typer.Option(min=0.0, help="How long to measure, in all.")]


class EngineName(StrEnum):
    """Which engine to measure."""

    EMBEDDED = "embedded"
    QWEN = "qwen"


class Device(StrEnum):
    """Where Qwen3-TTS computes."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


@app.command()
def engine(
    name: Annotated[EngineName, typer.Option("--engine", help="What speaks.")] = EngineName.EMBEDDED,
    checkpoints: Annotated[
        Path | None, typer.Option(help="For qwen: a folder with base/, custom_voice/, voice_design/.")
    ] = None,
    tiny: Annotated[
        bool,
        typer.Option(
            "--tiny", help="Qwen3-TTS with random weights of a tiny shape, in place of --checkpoints."
        ),
    ] = False,
    device: Annotated[Device, typer.Option(help="For qwen.")] = Device.AUTO,
    concurrency: Annotated[str, typer.Option(help="Streams at a time, by commas.")] = "1",
    eager: Annotated[bool, typer.Option("--eager", help="For qwen: without the compiler.")] = False,
    seconds: Seconds = 8.0,
    as_json: Json = False,
) -> None:
    """Codec frames per second in each mode; Qwen3-TTS beside the qwen-tts package."""
    with reporting(as_json=as_json):
        from vouch.bench import engine as bench

        streams = _numbers(concurrency)
        if tiny:
            if checkpoints is not None:
                raise typer.BadParameter("give --tiny or --checkpoints", param_hint="--tiny")
            _print(bench.measure_tiny(device.value, seconds, streams=streams, eager=eager))
        else:
            config = bench.config_for(name.value, checkpoints, device.value, eager=eager)
            _print(bench.measure(config, seconds, streams=streams))


@app.command()
def gate(
    seconds: Seconds = 40.0,
    postgresql: Annotated[
        str | None,
        typer.Option(
            help="URL of an empty database to measure on too; default: a server of its own, if installed."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Decisions and audited requests per second, beside a bare SELECT and a bare INSERT of the same database."""
    with reporting(as_json=as_json):
        from vouch.bench.gate import measure

        _print(measure(seconds, postgresql=postgresql))


@app.command()
def stamp(
    seconds: Seconds = 24.0,
    clip_seconds: Annotated[float, typer.Option(min=0.5, max=600.0, help="Length of the clip.")] = 10.0,
    as_json: Json = False,
) -> None:
    """What marking takes of real time, per format, beside Perth alone and c2pa alone; and of a first chunk."""
    with reporting(as_json=as_json):
        from vouch.bench.stamp import measure

        _print(measure(seconds, clip_seconds=clip_seconds))


@app.command()
def serve(
    url: Annotated[str | None, typer.Option(help="A running service; default: one of its own.")] = None,
    clients: Annotated[int, typer.Option(min=1, help="Requests at a time.")] = 4,
    seconds: Seconds = 10.0,
    as_json: Json = False,
) -> None:
    """Latency and throughput of POST /v1/audio/speech; the key is VOUCH_API_KEY or the local narrator's."""
    with reporting(as_json=as_json):
        from vouch.bench.serve import measure

        _print(measure(url, _api_key() if url else "", seconds, clients=clients))


@app.command()
def narrate(
    rows: Annotated[int, typer.Option(min=1, help="Rows of the script.")] = 60,
    engines: Annotated[int, typer.Option(min=1, help="Engine actors.")] = 1,
    as_json: Json = False,
) -> None:
    """Rows per second through the batch, on an embedded Ray and the embedded engine."""
    with reporting(as_json=as_json):
        from vouch.bench.narrate import measure

        _print(measure(rows, engines=engines))


def _print(figures: Iterable[Figure | dict[str, Any]]) -> None:
    show(machine())
    for figure in figures:
        show(figure)


def _numbers(by_commas: str) -> list[int]:
    """Raises BadParameter."""
    try:
        numbers = [int(number) for number in by_commas.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise typer.BadParameter("give numbers of streams, such as 1,8,32", param_hint="--concurrency")
    return numbers


def _api_key() -> str:
    given = os.environ.get("VOUCH_API_KEY")
    if given:
        return given
    with open_home() as home:
        return home.api_key("narrator")
