"""`vouch verify`: whose clip is this, is it unaltered, and does its consent still stand?"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from consent_service.proofs.bundle import Bundle
from consent_service.proofs.checkpoint import read_checkpoint
from provenance.decoding.pool import LONGEST_SIDECAR
from provenance.verify import Limits, Origin, Verdict, Verifier
from vouch.commands.audit import KeyFile, trusted_from
from vouch.commands.options import Json
from vouch.home import open_home
from vouch.output import Failed, emit, reporting


def verify(
    file: Annotated[Path, typer.Argument(help="A clip.")],
    anchor: Annotated[
        Path | None, typer.Option(help="Verify by signature alone, against this root certificate (PEM).")
    ] = None,
    offline: Annotated[
        Path | None, typer.Option(help="Verify without the ledger, against an exported bundle.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="The clip's detached manifest: of Ogg Opus, raw samples or a stream.")
    ] = None,
    key: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Three separate answers: origin, integrity, standing. Exit 1 when the clip was altered."""
    with reporting(as_json=as_json):
        data = _read(file, Limits().max_bytes)
        sidecar = None if manifest is None else _read(manifest, LONGEST_SIDECAR)
        proven: dict[str, Any] = {}
        if offline is not None:
            bundle = Bundle.read(offline.read_bytes(), trusted_from(key))
            verdict = Verifier(bundle.trust_anchor, bundle).verify(data, sidecar)
            proven = {"bundle": _proven(bundle, verdict, trusted=key is not None)}
        elif anchor is not None:
            verdict = Verifier(anchor.read_bytes()).verify(data, sidecar)
        else:
            with open_home() as home:
                verdict = Verifier(home.service.keys.trust_anchor(), home.service.clips).verify(data, sidecar)
        report = verdict.to_json() | proven
        emit(report, as_json=as_json, human=_lines(report))
        if report["integrity"] == "altered":
            raise typer.Exit(1)


def _read(file: Path, most: int) -> bytes:
    """Never more than a byte past `most`, which the verifier then refuses by its size."""
    try:
        with file.open("rb") as source:
            return source.read(most + 1)
    except FileNotFoundError:
        raise Failed("not_found", f"no such file: {file}") from None
    except IsADirectoryError:
        raise Failed("not_found", f"a folder, not a clip: {file}") from None


def _proven(bundle: Bundle, verdict: Verdict, *, trusted: bool) -> dict[str, Any]:
    """What the log in the bundle says of the clip. Raises ProofInvalid when it contradicts what the clip says."""
    told: dict[str, Any] = {
        "as_of": datetime.fromtimestamp(bundle.as_of, UTC).isoformat(timespec="seconds"),
        "log": bundle.checkpoint.origin,
        "keys": "the ones you gave" if trusted else "the bundle's own: give --key to know whose it is",
    }
    said = verdict.evidence.get("disclosure")
    if verdict.origin is Origin.OURS and said is not None:
        # The log has the clips, and not what was made of them.
        clips = verdict.evidence.get("made_from") or [said]
        ends = [read_checkpoint(one["checkpoint"]).size for one in clips]
        told["in_log"] = max(ends) <= bundle.checkpoint.size
        if told["in_log"]:  # a clip that is younger than the bundle is not in it, and its standing is unknown
            for one in clips:
                bundle.verify_in_log(one["clip_id"], one["audit_leaf"], one["checkpoint"])
    return told


def _lines(report: dict[str, object]) -> str:
    answers = [f"{key:>10}  {report[key]}" for key in ("origin", "integrity", "standing") if key in report]
    found = report.get("bundle")
    checked = [f"{key:>10}  {found[key]}" for key in ("log", "keys")] if isinstance(found, dict) else []
    return "\n".join([*answers, *checked, "", str(report["sentence"])])
