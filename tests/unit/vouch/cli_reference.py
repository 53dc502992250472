"""Writes docs/cli.md from the commands themselves, so that the two cannot drift apart.

python -m tests.unit.vouch.cli_reference > docs/cli.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args, get_type_hints

from typer.main import get_command

from vouch.cli import app

HEAD = """# Command line

`vouch` is the one command. Every command takes `--json` and then prints one JSON value on standard output (`bench`: one
line per figure); progress and errors go to standard error, as `vouch: what happened and what to do [code]` or, with
`--json`, as `{"error": {"code": …, "message": …}}`.

| exit code | |
|---|---|
| 0 | done |
| 1 | refused or failed |
| 2 | wrong usage |
| 130 | interrupted |

| variable | |
|---|---|
| `VOUCH_DATA_DIR` | where ledger, vault, keys and clips lie; default `~/.vouch` |
| `VOUCH_CONFIG` | a YAML file with the whole configuration, instead of the embedded defaults |
| `VOUCH_API_KEY` | act with this key instead of the local ones |
| `VOUCH_API_KEY_FILE` | for `narrate`: the file (mode 600) from which every process of the job reads the key |
| `VOUCH_CONSENT_TOKEN` | for `say`: the consent to speak under |
"""


def leaves(node: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with its words."""
    node = get_command(app) if node is None else node
    if hasattr(node, "commands"):
        for name, child in node.commands.items():
            yield from leaves(child, (*path, name))
    else:
        yield path, node


def render() -> str:
    """The whole document."""
    return "\n".join([HEAD, *(_command(path, node) for path, node in leaves())])


def _command(path: tuple[str, ...], node: Any) -> str:
    types = get_type_hints(node.callback)
    arguments = [parameter for parameter in node.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in node.params if parameter.param_type_name == "option"]
    usage = " ".join(["vouch", *path, *map(_metavar, arguments)])
    lines = [f"## `{usage}`", "", _plain(node.help), "", "| | |", "|---|---|"]
    rows = [(f"`{_metavar(argument)}`", _about(argument)) for argument in arguments]
    rows += [(_names(option) + _choices(types.get(option.name)), _about(option)) for option in options]
    return "\n".join([*lines, *(f"| {name} | {about} |" for name, about in rows), ""])


def _metavar(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _names(option: Any) -> str:
    return ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))


def _choices(wanted: Any) -> str:
    for kind in (wanted, *get_args(wanted)):
        if isinstance(kind, type) and issubclass(kind, Enum):
            return f" ({', '.join(str(choice.value) for choice in kind)})"
    return ""


def _about(parameter: Any) -> str:
    words = [_plain(getattr(parameter, "help", None))]
    if parameter.param_type_name == "option":
        if parameter.required:
            words.append("**Required.**")
        elif not parameter.is_flag and parameter.default not in (None, "", ()):
            default = parameter.default
            words.append(f"Default: `{getattr(default, 'value', default)}`.")
        if parameter.envvar:
            words.append(f"Or `{parameter.envvar}`.")
    return " ".join(word for word in words if word).replace("|", "\\|")


def _plain(text: str | None) -> str:
    return " ".join((text or "").split())


if __name__ == "__main__":
    sys.stdout.write(render())
