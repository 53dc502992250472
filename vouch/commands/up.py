"""`vouch up`: start the Serve application and keep it until Ctrl-C."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from enum import StrEnum
from typing import Annotated

import typer

from serve_app.runtime.start import running
from vouch import ray_token
from vouch.commands.options import Json
from vouch.embedded_ray import patience
from vouch.home import app_config, open_home
from vouch.output import emit, err, reporting
from vouch.waiting import Waiting, tell_on_stderr


class ServingProfile(StrEnum):
    """Where Ray runs."""

    LOCAL = "local"  # embedded Ray, SQLite, files
    CLUSTER = "cluster"  # the Ray cluster that this node belongs to


def up(
    profile: Annotated[
        ServingProfile | None, typer.Option(help="Default: what the configuration says, else local.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="HTTP port; 0: any free one.")] = None,
    dashboard: Annotated[bool, typer.Option(help="Also start Ray's dashboard and metrics discovery.")] = True,
    as_json: Json = False,
) -> None:
    """Start ingress, gate and voice replicas; print the address when they are ready; stop on Ctrl-C."""
    with reporting(as_json=as_json):
        config = app_config()
        if profile is not None:
            config = config.model_copy(update={"profile": profile.value})
        if config.profile == "cluster":  # makes no keys, whatever the configuration said before
            consent = config.consent.model_copy(update={"profile": "cluster"})
            config = config.model_copy(update={"consent": consent})
        if port is not None:
            config = config.on_port(port)
        if config.profile == "local":
            with open_home(config):
                pass  # makes ledger and keys the first time
            ray_token.protect(config.consent.data_dir)
        if not as_json:
            err.print("starting Ray and the application …", markup=False)
        stop = threading.Event()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with ExitStack() as started:
            if config.profile == "local":
                started.enter_context(patience())
            with Waiting(tell_on_stderr(as_json=as_json)) as waiting:
                app = started.enter_context(running(config, dashboard=dashboard, waits_for=waiting.now_for))
            for number in (
                signal.SIGTERM,
                signal.SIGINT,
            ):  # Ray put its own handlers in place while it started
                signal.signal(number, lambda *_: stop.set())
            status = {
                "url": app.url,
                "engine": config.engine.name,
                "dashboard": app.dashboard,
                "ray": str(app.folder),
                "logs": str(app.logs),
            }
            shown = f"; dashboard at {app.dashboard}" if app.dashboard else ""
            human = f"ready at {app.url} ({config.engine.name} engine){shown}; logs in {app.logs}; Ctrl-C stops it"
            emit(status, as_json=as_json, human=human)
            while not stop.wait(0.5):
                pass
            if not as_json:
                err.print("stopping …", markup=False)
