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
from rich.cells import cell_len
from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

# Fields that hold Unix seconds, each by its name: `same_from` is a threshold and no moment.
MOMENTS: Final = frozenset(
    {
        "approved_at", "as_of", "at", "begun_at", "contact_confirmed_at", "created_at", "ends_at", "expires_at",
        "finished_at", "first_at", "last_at", "recorded_at", "retain_until", "revoked_at", "valid_from", "valid_until",
    }
)  # fmt: skip


class Failed(Exception):
    """Ends a command with exit code 1 and a stable code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def emit(value: Any, *, as_json: bool, human: str | None = None, columns: Sequence[str] = ()) -> None:
    """Print a result: JSON if asked for, else `human`, else a readable form of the value.

    columns: of a list, the fields that people see, the inner ones as `terms.purposes`; default: all.
    """
    if as_json:
        sys.stdout.write(json.dumps(plain(value), ensure_ascii=False, indent=2) + "\n")
    elif human is not None:
        out.print(human, markup=False)
    else:
        out.print(_readable(plain(value), columns), markup=False)


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


def table(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> str:
    """Columns as wide as what stands in them: an id that is cut short is of no use, so a line may be longer than the
    screen."""
    head = [column.rpartition(".")[2] for column in columns]
    lines = [head, *([row.get(column, "-") for column in columns] for row in rows)]
    widths = [max(cell_len(line[at]) for line in lines) for at in range(len(columns))]
    padded = (
        "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )
    return "\n".join(line.rstrip() for line in padded)


def _readable(value: Any, columns: Sequence[str]) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        rows = [_flat(row) for row in value]
        return table(rows, columns or list(dict.fromkeys(name for row in rows for name in row)))
    if isinstance(value, list):
        return "\n".join(map(str, value)) or "none"
    if isinstance(value, dict):
        fields = _flat(value)
        width = max(map(len, fields), default=0)
        return "\n".join(f"{name:>{width}}  {text}" for name, text in fields.items())
    return str(value)


def _flat(fields: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Inner fields beside the outer ones, as `terms.purposes`; every value as people read it."""
    found: dict[str, str] = {}
    for name, value in fields.items():
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            value = dict(enumerate(value, 1))
        if isinstance(value, dict) and value:
            found |= _flat({str(key): item for key, item in value.items()}, f"{prefix}{name}.")
        else:
            found[prefix + name] = _text(name, value)
    return found


def _text(name: str, value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if name in MOMENTS and isinstance(value, int | float) and value:
        return iso(value)
    return str(value)


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
