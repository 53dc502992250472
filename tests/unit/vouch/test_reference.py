"""docs/cli.md says what the commands themselves say, and every command says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.unit.vouch.cli_reference import leaves, render
from vouch.cli import app

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "cli.md"
COMMANDS = {" ".join(path): node for path, node in leaves()}


def test_the_reference_is_what_the_commands_say() -> None:
    stale = "run: python -m tests.unit.vouch.cli_reference > docs/cli.md"
    assert DOCUMENT.read_text(encoding="utf-8") == render(), stale


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(app, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert COMMANDS[name].help
    assert COMMANDS[name].help.split()[0] in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_json(name: str) -> None:
    assert "--json" in {option for parameter in COMMANDS[name].params for option in parameter.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_and_option_says_what_it_is(name: str) -> None:
    def silent(parameter: Any) -> bool:
        return not getattr(parameter, "help", None)

    assert not [parameter.name for parameter in COMMANDS[name].params if silent(parameter)]


def test_the_version_is_printed() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("vouch ")
