"""Options that several commands share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import typer

from provenance.formats.catalogue import NAMES

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print machine-readable output.")]
Language: TypeAlias = Annotated[
    str, typer.Option("--language", "-l", help="One of zh en ja ko de fr ru pt es it.")
]
AudioFormat: TypeAlias = Annotated[
    str, typer.Option("--format", help=f"One of {' '.join(NAMES)}.", show_default=True)
]
SampleRate: TypeAlias = Annotated[
    int | None, typer.Option(help="Hz: 24000 or 16000; mulaw is made at 8000. Default: the first.")
]
Loudness: TypeAlias = Annotated[
    float | None, typer.Option(help="Programme loudness in LUFS (EBU R 128), -16 say; default: as spoken.")
]
Disclaimer: TypeAlias = Annotated[
    bool, typer.Option("--disclaimer", help="Begin by saying that this is an artificial voice.")
]


def moment(text: str) -> float:
    """A date (2026-12-31) or a time (2026-12-31T18:00:00+01:00) as Unix seconds; dates are UTC."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date such as 2027-12-31") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
