"""`vouch doctor`: what works on this machine, and what to do about what does not."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import typer

from speech.load import load_engine
from vouch.commands.options import Json
from vouch.home import app_config, data_dir, open_home
from vouch.output import Failed, emit, out, plain, reporting
from vouch.places import places


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One check. `advice`: what to do, "" where there is nothing to do."""

    check: str
    ok: bool
    found: str
    advice: str = ""


def doctor(as_json: Json = False) -> None:
    """Check Python, packages, ledger, keys, engine and disk. Exit 1 if something needed is missing."""
    with reporting(as_json=as_json):
        findings = list(_findings())
        if as_json:
            emit({"ok": all(f.ok for f in findings), "checks": plain(findings)}, as_json=True)
        else:
            for finding in findings:
                out.print(
                    f"{'ok ' if finding.ok else 'NO '} {finding.check:<12} {finding.found}", markup=False
                )
                if finding.advice:
                    out.print(f"     → {finding.advice}", markup=False)
        if not all(f.ok for f in findings):
            raise typer.Exit(1)


def _findings() -> Iterator[Diagnosis]:
    yield _measured(
        "python", sys.version_info >= (3, 11), sys.version.split()[0], "install Python 3.11 or later"
    )
    for package in ("ray", "torch", "qwen-tts", "c2pa-python", "resemble-perth"):
        yield _attempt(package, partial(importlib.metadata.version, package), "reinstall with make install")
    yield from _installation()
    free = shutil.disk_usage(data_dir().parent if data_dir().parent.exists() else "/").free / 1e9
    yield _measured(
        "disk", free > 2, f"{free:.1f} GB free", "free some space: Ray refuses work on a full disk"
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    yield _measured("memory", memory > 4, f"{memory:.0f} GB", "the embedded defaults need about 4 GB")


def _installation() -> Iterator[Diagnosis]:
    """What the configuration names. Without one that can be read nothing else can be said of it."""
    path = os.environ.get("VOUCH_CONFIG")
    try:
        config = app_config()
    except (Failed, OSError) as exc:
        yield Diagnosis("config", False, str(exc), "correct that file; every setting is in docs/settings.md")
        return
    yield Diagnosis("config", True, path or "the embedded defaults")
    outside = [
        _attempt(place.name, place.probe, place.advice) for place in places(config.consent, config.clips)
    ]
    yield from outside
    if all(finding.ok for finding in outside):
        ledger = _attempt(
            "ledger", _ledger, "look at VOUCH_DATA_DIR, and at the permissions of its keys folder"
        )
        yield ledger
        if ledger.ok:
            yield _attempt(
                "leaf", _leaf, "do it while the old leaf still signs; after that day nothing can be marked"
            )
            yield from _upkeep()
    yield _attempt("engine", _engine, "pip install 'vouch[embedded]', or name checkpoints in VOUCH_CONFIG")


def _attempt(check: str, look: Callable[[], str], advice: str) -> Diagnosis:
    try:
        return Diagnosis(check, True, look())
    except Exception as exc:  # noqa: BLE001 - a doctor reports whatever is wrong
        return Diagnosis(check, False, str(exc) or type(exc).__name__, advice)


def _measured(check: str, ok: bool, found: str, advice: str) -> Diagnosis:
    return Diagnosis(check, ok, found, "" if ok else advice)


def _upkeep() -> Iterator[Diagnosis]:
    """What crashed processes left behind. It does no harm yet, so it is never "not ok"."""
    with open_home() as home:
        backlog = home.service.gate.backlog()
    yield Diagnosis(
        "audit", True, f"{backlog.open_grants} entries open for over an hour",
        "vouch audit close-abandoned" if backlog.open_grants else "",
    )  # fmt: skip
    yield Diagnosis(
        "replicas", True, f"{backlog.old_replicas} replica keys older than a week",
        "vouch key forget-replicas, and restart what has run for longer" if backlog.old_replicas else "",
    )  # fmt: skip


def _ledger() -> str:
    with open_home() as home:
        config = home.config.consent  # named as the configuration names it: what completes it may be secret
        return config.ledger_url or str(config.ledger_url_file or config.url)


def _leaf() -> str:
    """Until when clips can be signed. Opening has renewed what was due and could be renewed."""
    with open_home() as home:
        outlook = home.service.rotation.certificate_outlook()
    if outlook is None:
        return "keys that are not ours to renew"
    until = datetime.fromtimestamp(outlook.ends, UTC).date()
    if outlook.is_due and outlook.trouble:
        raise RuntimeError(f"manifests can be signed until {until}, and no longer: {outlook.trouble}")
    return f"signs until {until}"


def _engine() -> str:
    engine = load_engine(app_config().engine)
    try:
        engine.warm_up()
        return f"{engine.info.name}: {engine.info.model}"
    finally:
        engine.close()
