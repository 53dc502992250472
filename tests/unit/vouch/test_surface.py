"""What people type and what programs call stays: a command or a route that was there once is there, or the changelog
says what replaces it."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from vouch.cli import app

ROOT = Path(__file__).resolve().parents[3]
BEFORE: dict[str, list[str]] = json.loads((ROOT / "tests" / "assets" / "surface.json").read_text())
REPLACED = {"voice state": "voice statement"}


def commands(group: Any, *path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield " ".join((*path, name))


def routes(folder: str) -> set[str]:
    """`GET /v1/voices/{}`, of every router below a folder."""
    found = set()
    for file in (ROOT / folder).rglob("*.py"):
        if "APIRouter(" in file.read_text():
            module = importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
            for route in module.router.routes:
                found |= {f"{method} {re.sub(r'{[^}]*}', '{}', route.path)}" for method in route.methods}
    return found


def test_no_command_is_lost_without_a_word_in_the_changelog() -> None:
    there = set(commands(typer.main.get_command(app)))
    changes = (ROOT / "CHANGELOG.md").read_text()
    for command in BEFORE["commands"]:
        if command not in there:
            assert REPLACED[command] in there
            assert f"`vouch {command}` is now `vouch {REPLACED[command]}`" in changes


def test_no_route_is_lost() -> None:
    consent, door = routes("consent_service/http"), routes("serve_app")
    assert set(BEFORE["routes of the consent service"]) <= consent
    assert set(BEFORE["routes of vouch up"]) <= consent | door, "vouch up serves the consent service's too"
