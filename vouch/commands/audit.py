"""`vouch audit`: export the log, verify an export offline, print the checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consent_service.proofs.log import verify_export
from vouch.commands.options import Json
from vouch.home import open_home
from vouch.output import emit, reporting

app = typer.Typer(help="The audit log: append-only, signed, verifiable offline.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="A folder with an export.")]


@app.command()
def export(folder: Folder, as_json: Json = False) -> None:
    """Write entries, checkpoint and public key to FOLDER."""
    with reporting(as_json=as_json), open_home() as home:
        home.service.export_audit(home.act_as("auditor"), folder)
        emit(
            {"folder": folder},
            as_json=as_json,
            human=f"exported to {folder}; verify with: vouch audit verify {folder}",
        )


@app.command()
def verify(folder: Folder, as_json: Json = False) -> None:
    """Check an export with nothing but its own files: every entry, the tree, the signature."""
    with reporting(as_json=as_json):
        emit(verify_export(folder), as_json=as_json)


@app.command()
def checkpoint(as_json: Json = False) -> None:
    """The signed head of the log (C2SP tlog-checkpoint)."""
    with reporting(as_json=as_json), open_home() as home:
        note = home.service.checkpoint(home.act_as("auditor"))
        emit({"checkpoint": note}, as_json=as_json, human=note)
