"""`--lexicon FILE`: respellings from a JSON object, {"Nguyen": "Win"}."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from speech.text.lexicon import Lexicon
from vouch.output import Failed

LexiconFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--lexicon", metavar="FILE", help='JSON object of respellings: {"Nguyen": "Win"}.'),
]


def read_lexicon(path: Path | None) -> dict[str, str]:
    """The file's entries, checked; none without a file. Raises Failed or TextError with code lexicon_invalid."""
    if path is None:
        return {}
    try:
        entries = json.loads(path.read_bytes())
    except FileNotFoundError as exc:
        raise Failed("not_found", f"no such file: {path}") from exc
    except (ValueError, RecursionError):
        entries = None
    if not isinstance(entries, dict) or not all(isinstance(spelling, str) for spelling in entries.values()):
        raise Failed("lexicon_invalid", f"{path} is not a JSON object of words and their respellings")
    Lexicon(entries)
    return entries
