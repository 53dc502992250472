"""`vouch scripts`: from CSV or JSON lines to the Parquet schema, and a look before any GPU is spent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.check import check_rows, open_script
from pipelines.prepare import Defaults, prepare_script
from vouch.commands.options import Json
from vouch.output import emit, reporting

app = typer.Typer(help="Scripts for narration: make them, check them.", no_args_is_help=True)


@app.command()
def prepare(
    source: Annotated[Path, typer.Argument(help="A .csv, .jsonl or .ndjson file in UTF-8.")],
    target: Annotated[Path, typer.Argument(help="The Parquet file to write.")],
    language: Annotated[str | None, typer.Option("--language", "-l", help="For rows without one.")] = None,
    voice: Annotated[str | None, typer.Option(help="For rows without one.")] = None,
    purpose: Annotated[str | None, typer.Option(help="For rows without one.")] = None,
    id_prefix: Annotated[str | None, typer.Option(help="Number rows that have no id.")] = None,
    as_json: Json = False,
) -> None:
    """Turn a table into a script."""
    with reporting(as_json=as_json):
        defaults = Defaults(language=language, voice=voice, purpose=purpose, id_prefix=id_prefix)
        script = prepare_script(source, target, defaults)
        emit({"rows": script.rows, "file": target}, as_json=as_json, human=f"{target}: {script.rows} rows")


@app.command()
def check(
    script: Annotated[str, typer.Argument(help="Parquet file or folder.")],
    as_json: Json = False,
) -> None:
    """Structure first (exit 1 when it is unusable), then every row's text and language."""
    with reporting(as_json=as_json):
        emit(check_rows(open_script(script)), as_json=as_json)
