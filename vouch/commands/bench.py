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

from speech.engine import Mode
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


class Shape(StrEnum):
    """Sizes of Qwen3-TTS."""

    TINY = "tiny"
    SMALL = "0.6b"
    LARGE = "1.7b"


class Peer(StrEnum):
    """What an engine is measured against."""

    QWEN_TTS = "qwen-tts"
    NONE = "none"


@app.command()
def engine(
    name: Annotated[EngineName, typer.Option("--engine", help="What speaks.")] = EngineName.EMBEDDED,
    checkpoints: Annotated[
        Path | None, typer.Option(help="For qwen: a folder with base/, custom_voice/, voice_design/.")
    ] = None,
    shape: Annotated[
        Shape | None, typer.Option(help="Qwen3-TTS with random weights of this shape, under load.")
    ] = None,
    device: Annotated[Device, typer.Option(help="For qwen.")] = Device.AUTO,
    mode: Annotated[
        str, typer.Option(help="With --shape: of clone, custom and design, by commas.")
    ] = "clone",
    concurrency: Annotated[str, typer.Option(help="With --shape: streams at a time, by commas.")] = "1,8",
    frames: Annotated[int, typer.Option(min=2, help="With --shape: codec frames of every utterance.")] = 100,
    peer: Annotated[Peer, typer.Option(help="With --shape: measured in the same run.")] = Peer.QWEN_TTS,
    eager: Annotated[bool, typer.Option("--eager", help="For qwen: without the compiler.")] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="With --shape: where the time of the CPU goes.")
    ] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="With --checkpoints: frames per character of each language.")
    ] = False,
    seconds: Seconds = 8.0,
    as_json: Json = False,
) -> None:
    """Codec frames per second in each mode; Qwen3-TTS beside the qwen-tts package.

    With --shape, first audio, underruns, loading and memory too, and --seconds are for each number of streams.
    """
    with reporting(as_json=as_json):
        from vouch.bench import engine as bench

        if shape is not None:
            streams = _numbers(concurrency)
            modes = _modes(mode)
            if profile:
                _print(bench.profile_shape(shape.value, modes[0], max(streams), frames=frames, eager=eager))
                return
            _print(
                bench.measure_shape(
                    shape.value,
                    modes,
                    streams,
                    device=device.value,
                    frames=frames,
                    seconds=seconds,
                    peer=peer is Peer.QWEN_TTS,
                    eager=eager,
                )
            )
            return
        config = bench.config_for(name.value, checkpoints, device.value, eager=eager)
        if calibrate:
            from vouch.bench.engine_calibrate import calibrate as measured

            _print(measured(config))
        else:
            _print(bench.measure(config, seconds))


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


def _modes(by_commas: str) -> list[Mode]:
    """Raises BadParameter."""
    asked = by_commas.split(",")
    modes: list[Mode] = [mode for mode in ("clone", "custom", "design") if mode in asked]
    if len(modes) != len(asked):
        raise typer.BadParameter("give some of clone, custom and design", param_hint="--mode")
    return modes


def _api_key() -> str:
    given = os.environ.get("VOUCH_API_KEY")
    if given:
        return given
    with open_home() as home:
        return home.api_key("narrator")
