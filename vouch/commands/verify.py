"""`vouch verify`: whose clip is this, is it unaltered, and does its consent still stand?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance.verify import Verifier
from vouch.commands.options import Json
from vouch.home import open_home
from vouch.output import Failed, emit, reporting


def verify(
    file: Annotated[Path, typer.Argument(help="A clip.")],
    anchor: Annotated[
        Path | None, typer.Option(help="Verify by signature alone, against this root certificate (PEM).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Three separate answers: origin, integrity, standing. Exit 1 when the clip was altered."""
    with reporting(as_json=as_json):
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            raise Failed("not_found", f"no such file: {file}") from None
        if anchor is not None:
            verdict = Verifier(anchor.read_bytes()).verify(data)
        else:
            with open_home() as home:
                verdict = Verifier(home.service.keys.trust_anchor(), home.service).verify(data)
        report = verdict.to_json()
        emit(report, as_json=as_json, human=_lines(report))
        if report["integrity"] == "altered":
            raise typer.Exit(1)


def _lines(report: dict[str, object]) -> str:
    answers = [f"{key:>10}  {report[key]}" for key in ("origin", "integrity", "standing") if key in report]
    return "\n".join([*answers, "", str(report["sentence"])])
