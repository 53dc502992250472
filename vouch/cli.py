"""The one console script. Each command opens what it needs, does one thing, and says what came of it."""

from __future__ import annotations

import typer

from vouch import __version__
from vouch.commands import audit, consent, demo, doctor, keys, narrate, say, scripts, up, verify, voice

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


app.command("demo")(demo.demo)
app.command("up")(up.up)
app.command("say")(say.say)
app.command("narrate")(narrate.narrate_command)
app.command("verify")(verify.verify)
app.command("doctor")(doctor.doctor)
app.add_typer(scripts.app, name="scripts")
app.add_typer(voice.app, name="voice")
app.add_typer(consent.app, name="consent")
app.add_typer(audit.app, name="audit")
app.add_typer(keys.app, name="key")


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
