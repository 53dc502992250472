"""Options that several commands share."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias

import typer

from provenance.formats.catalogue import NAMES
from vouch.output import Failed, err

Grantee: TypeAlias = Annotated[
    str | None, typer.Option(help="Who may use it; default: the grantee of your own key.")
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
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


_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def duration(text: str) -> float:
    """A length of time such as 90m, 2h or 30d, in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a length of time such as 90m, 2h or 30d")
    return float(found[1]) * _UNITS[found[2]]


def confirmed(question: str, *, yes: bool, as_json: bool) -> None:
    """Ask before something that cannot be undone. Raises Failed (not_confirmed), also where nobody can answer."""
    if yes:
        return
    if not as_json:
        # typer.confirm writes a part of its question to standard output, which belongs to results.
        err.print(f"{question} [y/N]", end=" ", markup=False)
        answer = sys.stdin.readline()
        if answer.strip().lower() in ("y", "yes"):
            return
        if not answer:
            err.print()
    raise Failed("not_confirmed", f"nothing was done. {question} --yes does it without being asked")


def moment(text: str) -> float:
    """A date (2026-12-31) or a time (2026-12-31T18:00:00+01:00) as Unix seconds; dates are UTC."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date such as 2027-12-31") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
