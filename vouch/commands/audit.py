"""`vouch audit`: export the log or a bundle, verify offline whatever was exported, print the checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from consent_service.proofs.bundle import BUNDLE_TYPE, Bundle
from consent_service.proofs.certificate import CERTIFICATE_TYPE, verify_certificate
from consent_service.proofs.log import verify_export
from consent_service.proofs.receipt import verify_receipt
from consent_service.proofs.standings import STANDINGS_TYPE, verify_standings
from consent_service.proofs.statement import text_of
from consent_service.proofs.trust import TrustedKeys
from vouch.commands.options import Json, duration
from vouch.home import open_home
from vouch.output import Failed, emit, reporting

app = typer.Typer(help="The audit log: append-only, signed, verifiable offline.", no_args_is_help=True)

KeyFile = Annotated[
    Path | None,
    typer.Option("--key", help="Public keys you had before (from: vouch audit export --keys FILE)."),
]


@app.command()
def export(
    folder: Annotated[Path | None, typer.Argument(help="Where to write entries, checkpoint and key.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Write one file for vouch verify --offline.")] = None,
    standings: Annotated[
        Path | None, typer.Option(help="Write how every consent stands now, signed.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Write the public keys, for those who shall verify.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the log to FOLDER, or a bundle, standings or public keys to a file; any of them at once."""
    with reporting(as_json=as_json):
        wanted = {"folder": folder, "bundle": bundle, "standings": standings, "keys": keys}
        written = {what: path for what, path in wanted.items() if path is not None}
        if not written:
            raise typer.BadParameter("name a folder, --bundle, --standings or --keys")
        with open_home() as home:
            auditor = home.act_as("auditor")
            if folder is not None:
                home.service.log.export(auditor, folder)
            if bundle is not None:
                home.service.exports.write_bundle(auditor, bundle)
            if standings is not None:
                standings.write_text(home.service.exports.standings(auditor), encoding="utf-8")
            if keys is not None:
                keys.write_text(home.service.exports.trusted_keys(auditor), encoding="utf-8")
        verified = [path for what, path in written.items() if what != "keys"]
        human = "\n".join(f"exported to {path}; verify with: vouch audit verify {path}" for path in verified)
        emit(written, as_json=as_json, human=human or f"public keys are in {keys}")


@app.command()
def verify(
    path: Annotated[
        Path, typer.Argument(help="A folder with an export, or a bundle, certificate or receipt.")
    ],
    key: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Check what was exported with nothing but its own files, or better, against keys you had before."""
    with reporting(as_json=as_json):
        trusted = trusted_from(key)
        found = _verify_file(path, trusted) if path.is_file() else verify_export(path, trusted=trusted)
        emit(found, as_json=as_json)


@app.command()
def checkpoint(as_json: Json = False) -> None:
    """The signed head of the log (C2SP tlog-checkpoint)."""
    with reporting(as_json=as_json), open_home() as home:
        note = home.service.log.checkpoint(home.act_as("auditor"))
        emit({"checkpoint": note}, as_json=as_json, human=note)


@app.command("close-abandoned")
def close_abandoned(
    older_than: Annotated[
        str,
        typer.Option(help="Begun so long ago: 90m, 12h or 30d. Choose more than your longest clip takes."),
    ] = "1h",
    as_json: Json = False,
) -> None:
    """Give entries that crashed processes left open their second record: failed, abandoned."""
    age_s = duration(older_than)
    with reporting(as_json=as_json), open_home() as home:
        closed = home.service.gate.close_abandoned(home.act_as("admin"), age_s)
        emit({"closed": closed}, as_json=as_json, human=f"entries closed as abandoned: {closed}")


def trusted_from(file: Path | None) -> TrustedKeys | None:
    """Raises ProofInvalid, OSError."""
    return None if file is None else TrustedKeys.from_text(text_of(file.read_bytes()))


def _verify_file(path: Path, trusted: TrustedKeys | None) -> dict[str, Any]:
    raw = path.read_bytes()
    head = raw[:1_000_000].partition(b"\n")[0]
    if BUNDLE_TYPE.encode() in head:
        bundle = Bundle.read(raw, trusted)
        told = {"tenant": bundle.tenant, "as_of": bundle.as_of, "size": bundle.checkpoint.size}
        return {"kind": "bundle", **told, "consents": len(bundle.standings.consents)}
    if trusted is None:
        raise Failed("key_required", "only --key can say whether this file is what it seems")
    if CERTIFICATE_TYPE.encode() in head:
        found = verify_certificate(text_of(raw), trusted)
        told = {"tenant": found.tenant, "voice_id": found.voice_id, "finished_at": found.finished_at}
        return {"kind": "certificate of deletion", **told, "leaf": found.leaf}
    if STANDINGS_TYPE.encode() in head:
        listed = verify_standings(text_of(raw), trusted)
        told = {"tenant": listed.tenant, "as_of": listed.as_of, "consents": len(listed.consents)}
        return {"kind": "standings", **told}
    body = verify_receipt(text_of(raw), trusted)
    return {"kind": "receipt", "consent_id": body.get("record_id"), "state": body.get("state")}
