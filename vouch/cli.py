"""The one console script. Each command opens what it needs, does one thing, and says what came of it."""

from __future__ import annotations

import typer

from vouch import __version__
from vouch.commands.audit import app as audit
from vouch.commands.bench import app as bench
from vouch.commands.consent import app as consent
from vouch.commands.demo import demo
from vouch.commands.doctor import doctor
from vouch.commands.keys import app as keys
from vouch.commands.narrate import narrate_command
from vouch.commands.say import say
from vouch.commands.scripts import app as scripts
from vouch.commands.up import up
from vouch.commands.verify import verify
from vouch.commands.voice import app as voice

app = typer.Typer(
    name="vouch",
    help="Consent-gated voice cloning and bulk narration with Qwen3-TTS on Ray.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a pretty traceback prints locals, which may hold text or keys
    add_completion=False,
)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"vouch {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _show: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    return


app.command("demo")(demo)
app.command("up")(up)
app.command("say")(say)
app.command("narrate")(narrate_command)
app.command("verify")(verify)
app.command("doctor")(doctor)
for _name, _group in (
    ("scripts", scripts), ("voice", voice), ("consent", consent), ("audit", audit), ("key", keys),
    ("bench", bench),
):  # fmt: skip
    app.add_typer(_group, name=_name)


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
