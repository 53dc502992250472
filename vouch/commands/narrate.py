"""`vouch narrate`: Parquet in, Parquet and clips out, resumable; on this machine or as a Ray job."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pipelines.config import NarrateConfig, NarrateSummary
from pipelines.config import Progress as Done
from pipelines.job import submit
from pipelines.keyfile import write_key_file
from pipelines.narrate import narrate
from provenance.formats.delivery import delivery
from vouch import ray_token
from vouch.commands.lexicon import LexiconFile, read_lexicon
from vouch.commands.options import AudioFormat, Disclaimer, Json, Loudness, SampleRate
from vouch.embedded_ray import patience
from vouch.home import LocalInstallation, open_home
from vouch.output import emit, err, reporting


def narrate_command(
    script: Annotated[
        str, typer.Argument(metavar="IN", help="Parquet file or folder: id, text, language, voice, …")
    ],
    output: Annotated[
        str, typer.Argument(metavar="OUT", help="Folder for results and clips; run again to resume.")
    ],
    purpose: Annotated[str | None, typer.Option(help="For rows that name none.")] = None,
    address: Annotated[str | None, typer.Option(help="Submit as a Ray job: http://host:8265.")] = None,
    engines: Annotated[int, typer.Option(min=1, help="Engine actors at the start.")] = 1,
    engines_max: Annotated[int | None, typer.Option(min=1, help="Engine actors at most.")] = None,
    gpus: Annotated[float, typer.Option(min=0, help="Share of a GPU for each engine actor.")] = 0.0,
    audio_format: AudioFormat = "wav",
    sample_rate: SampleRate = None,
    loudness: Loudness = None,
    disclaimer: Disclaimer = False,
    lexicon: LexiconFile = None,
    as_json: Json = False,
) -> None:
    """One row out for each row in, with its status. Exit 1 when the run failed; refused rows are results."""
    with reporting(as_json=as_json), open_home() as home:
        delivery(audio_format, sample_rate, loudness)  # refuses what is not made before anything begins
        config = NarrateConfig(
            input=_absolute(script),
            output=_absolute(output),
            consent=home.config.consent,
            engine=home.config.engine,
            api_key_file=_key_file(home),
            purpose=purpose,
            lexicon=read_lexicon(lexicon),
            format=audio_format,
            sample_rate=sample_rate,
            loudness=loudness,
            spoken_disclaimer=disclaimer,
            engines=engines,
            engines_max=engines_max,
            engine_gpus=gpus,
        )
        with _progress(quiet=as_json) as report:
            if address is None:
                with patience():
                    summary = narrate(config, report)
            else:
                ray_token.present(home.config.consent.data_dir)
                job = submit(config, address)
                err.print(f"submitted {job.submission_id} to {address}; Ctrl-C stops it", markup=False)
                summary = job.follow(report)
        emit(summary, as_json=as_json, human=_lines(summary))


def _absolute(place: str) -> str:
    return place if "://" in place else str(Path(place).absolute())


def _key_file(home: LocalInstallation) -> Path:
    """A job reads its key from a file that only its owner can read; never from a command line."""
    given = os.environ.get("VOUCH_API_KEY_FILE")
    if given:
        return Path(given)
    return write_key_file(home.config.consent.data_dir / "narrator.key", home.api_key("narrator"))


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[Done], None]]:
    if quiet:
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(*columns, console=err) as bar:
        task = bar.add_task("check", total=None, note="")

        def report(done: Done) -> None:
            note = f"ok {done.ok} · refused {done.refused} · error {done.error} · {done.audio_rate:.0f}× real time"
            bar.update(
                task, description=done.stage, total=done.rows_in or None, completed=done.rows_done, note=note
            )

        yield report


def _lines(summary: NarrateSummary) -> str:
    codes = ", ".join(f"{code} {count}" for code, count in sorted(summary.codes.items()))
    return (
        f"{summary.rows_in} rows: ok {summary.ok} (kept {summary.kept}), refused {summary.refused}, "
        f"error {summary.error}{f'  ({codes})' if codes else ''}\n"
        f"{summary.seconds_audio:.0f} s of audio in {summary.seconds_wall:.0f} s → {summary.output}"
    )
