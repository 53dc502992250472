"""What the command line prints: tables for people, JSON for programs, errors on stderr with the right exit code.

0  done        1  refused or failed        2  wrong usage        130  interrupted
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Final

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_MOMENTS: Final = ("_at", "_from", "_until", "as_of")  # how our fields for Unix seconds end


class Failed(Exception):
    """Ends a command with exit code 1 and a stable code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def emit(value: Any, *, as_json: bool, human: str | None = None) -> None:
    """Print a result: JSON if asked for, else `human`, else a readable form of the value."""
    if as_json:
        sys.stdout.write(json.dumps(plain(value), ensure_ascii=False, indent=2) + "\n")
    elif human is not None:
        out.print(human, markup=False)
    elif isinstance(rows := _dated(plain(value)), list):
        _print_table(rows)
    elif isinstance(rows, dict):
        for key, item in rows.items():
            out.print(f"{key:>18}  {item}", markup=False)
    else:
        out.print(str(rows), markup=False)


def plain(value: Any) -> Any:
    """Dataclasses, models, enums and paths as JSON-ready values."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    return value


def iso(moment: float) -> str:
    """Unix seconds as people read them: ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _dated(value: Any) -> Any:
    """Plain values for people: what is named like a moment is a date."""
    if isinstance(value, list):
        return [_dated(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: iso(item) if key.endswith(_MOMENTS) and isinstance(item, int | float) and item else _dated(item)
        for key, item in value.items()
    }


@contextmanager
def reporting(*, as_json: bool) -> Iterator[None]:
    """Turn what the rooms raise into one line on stderr and the exit code."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("interrupted", markup=False)
        raise typer.Exit(130) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as exc:
        code, message = getattr(exc, "code", None), getattr(exc, "message", None)
        if not isinstance(code, str) or not isinstance(message, str):
            if isinstance(exc, OSError):
                code, message = "io_error", f"{exc.strerror or exc}: {exc.filename or ''}".rstrip(": ")
            else:
                raise
        if as_json:
            sys.stderr.write(json.dumps({"error": {"code": code, "message": message}}) + "\n")
        else:
            err.print(f"vouch: {message} [{code}]", markup=False)
        raise typer.Exit(1) from None


def _print_table(rows: list[Any]) -> None:
    if not rows:
        out.print("none")
        return
    if not isinstance(rows[0], dict):
        for row in rows:
            out.print(str(row), markup=False)
        return
    table = Table(box=None, pad_edge=False)
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(str(item) for item in row.values()))
    out.print(table)
