"""Starting and stopping the online door: an embedded Ray of its own, or an application on a cluster.

Ray reads its `RAY_SERVE_*` settings when it is imported, and HAProxy uses fixed ports and paths unless told
otherwise. So the environment is prepared first, with free ports and a private folder, and Ray is imported after;
then a second instance, or somebody else's Ray on the machine, is not in the way.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from serve_app.config import AppConfig
from serve_app.runtime.environment import free_ports, serve_environment
from serve_app.start_failures import StartFailedError, start_failed

log = logging.getLogger("vouch.serve")

_PROXIES_READY_WITHIN_S: Final = 3600  # Serve's own 60 s are a constant
_SHORT: Final = Path("/tmp")  # noqa: S108 - the paths of Unix sockets must be short
_PREFIX: Final = "vouch-"
_OWNER: Final = "owner.pid"
_POLL_S: Final = 0.2


class PortTakenError(RuntimeError):
    """Somebody listens there already."""

    code = "port_taken"

    def __init__(self, port: int) -> None:
        self.message = f"port {port} is in use; choose another with --port, or 0 for any free one"
        super().__init__(self.message)


class ClusterUnreachable(RuntimeError):
    """No Ray cluster to join: none answers (cluster_unreachable), or it wants a token (cluster_unauthenticated)."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Running:
    """A started application."""

    url: str
    folder: Path  # Ray's session, logs and metrics discovery
    dashboard: str  # http://host:port, or ""

    @property
    def logs(self) -> Path:
        """Of the application's processes on this node, and Ray's own; with profile `local` as long as it runs."""
        return self.folder / "session_latest" / "logs"


@contextmanager
def running(
    config: AppConfig,
    *,
    dashboard: bool = False,
    drain: bool = True,
    waits_for: Callable[[str], object] = lambda _: None,
) -> Iterator[Running]:
    """Start the application, wait until it is ready, stop what was started on the way out.

    Profile `local` starts a Ray of its own; `cluster` joins the one that `RAY_ADDRESS` (or this node) names, and
    leaves it, and other applications on it, as they were. `drain`: let requests in flight end first. `waits_for` is
    told what is waited for, each time that changes. No clock ends the wait: a process that has ended does, and a
    replica that cannot start.
    Raises PortTakenError, ClusterUnreachable or StartFailedError.
    """
    _sweep_up_after_the_dead()
    port = config.http.port or free_ports(1)[0]
    config = config.on_port(port)
    _require_free(config.http.host, port)
    logs = config.consent.data_dir / "logs" / "failed-start"
    waits_for("Ray")
    with (
        _own_ray(logs, dashboard=dashboard) if config.profile == "local" else _cluster_ray() as (
            folder,
            address,
        )
    ):
        from ray import serve

        from serve_app.app import APP_NAME

        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        try:
            try:
                url = _start(config, port, waits_for)
            except Exception as exc:
                started = folder if config.profile == "local" else None
                raise start_failed("application_not_started", exc, logs=logs, ray=started) from exc
            yield Running(url, folder, address)
        finally:
            with _without_rays_word(), suppress(Exception):
                if config.profile == "cluster":
                    serve.delete(APP_NAME)
                elif drain:
                    serve.shutdown()


def _start(config: AppConfig, port: int, waits_for: Callable[[str], object]) -> str:
    """Deploy the application and wait until it answers; its URL."""
    from ray import serve

    from serve_app.app import APP_NAME, build_app

    waits_for("Ray Serve's controller and proxies")
    with _proxies_may_take_their_time():
        serve.start(
            proxy_location=config.http.proxy_location, http_options={"host": config.http.host, "port": port}
        )
        serve.run_many(
            [serve.RunTarget(target=build_app(config), name=APP_NAME, route_prefix="/")],
            wait_for_ingress_deployment_creation=False,
            wait_for_applications_running=False,
        )
    while (waiting := _not_yet_running(serve.status().applications.get(APP_NAME), config)) is not None:
        waits_for(waiting)
        time.sleep(_POLL_S)
    # From here on this process only waits; its router's remarks on that are of no use to anyone.
    logging.getLogger("ray.serve").setLevel(logging.CRITICAL)
    waits_for("the proxy, which leads to the ingress")
    url = f"http://{config.http.host}:{port}"
    while not _is_ready(url):
        _require_ray()
        time.sleep(_POLL_S)
    return url


def _not_yet_running(application: Any, config: AppConfig) -> str | None:
    """What of it is waited for, as Serve's status has it; None: nothing. Raises StartFailedError."""
    if application is None:
        return "Ray Serve's controller"
    if application.status.value == "DEPLOY_FAILED":
        reasons = [application.message, *(one.message for one in application.deployments.values())]
        raise RuntimeError("\n".join(reasons))  # `start_failed` finds what the replica said
    if application.status.value == "RUNNING":
        return None
    parts = {
        "Gate": "the consent gate",
        "Voice": f"the voice replica, which loads the {config.engine.name} engine",
        "Ingress": "the ingress",
    }
    up = {name for name, one in application.deployments.items() if one.status.value == "HEALTHY"}
    return ", ".join(what for name, what in parts.items() if name not in up) or "Ray Serve's controller"


def _require_ray() -> None:
    """Raises StartFailedError when the Ray that this process started has lost its node."""
    from ray._private import worker

    node = worker._global_node
    ended = [kind for kind, _ in node.dead_processes()] if node is not None and node.is_head() else []
    if "raylet" in ended or "gcs_server" in ended:
        raise StartFailedError("ray_not_started", f"Ray's node is gone: {', '.join(ended)} ended")


@contextmanager
def _proxies_may_take_their_time() -> Iterator[None]:
    from ray.serve._private import api, client

    before = api.HTTP_PROXY_TIMEOUT
    api.HTTP_PROXY_TIMEOUT = client.HTTP_PROXY_TIMEOUT = _PROXIES_READY_WITHIN_S
    try:
        yield
    finally:
        api.HTTP_PROXY_TIMEOUT = client.HTTP_PROXY_TIMEOUT = before


@contextmanager
def _own_ray(logs: Path, *, dashboard: bool) -> Iterator[tuple[Path, str]]:
    """An embedded Ray with ports and folders of its own: (its folder, the dashboard's address)."""
    if "ray.serve" in sys.modules:
        log.warning("ray.serve was imported before its settings were made; HAProxy may meet another instance")
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_SHORT))
    (folder / _OWNER).write_text(str(os.getpid()), encoding="ascii")
    os.environ.update({k: v for k, v in serve_environment(folder).items() if k not in os.environ})
    import ray

    try:
        try:
            context = ray.init(
                address="local",
                num_cpus=max(8, os.cpu_count() or 1),  # logical: small deployments share few cores
                include_dashboard=dashboard,
                dashboard_port=free_ports(1)[0] if dashboard else None,
                _temp_dir=str(folder / "ray"),
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=300_000_000,
            )
        except Exception as exc:
            raise start_failed("ray_not_started", exc, logs=logs, ray=folder / "ray") from exc
        yield folder / "ray", f"http://{context.dashboard_url}" if context.dashboard_url else ""
    finally:
        with _without_rays_word(), suppress(Exception):
            ray.shutdown()
        _end_proxies(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _without_rays_word() -> Iterator[None]:
    """A driver prints what its Ray reports, to standard output; and each time that it stops Serve, Ray reports as an
    error that the controller is gone. Standard output belongs to the command, and with `--json` it holds one value."""
    with redirect_stdout(io.StringIO()):
        yield


@contextmanager
def _cluster_ray() -> Iterator[tuple[Path, str]]:
    """The cluster of this node. Its nodes were started with `serve_environment`'s settings (cluster.yaml)."""
    import ray

    address = os.environ.get("RAY_ADDRESS", "auto")
    _require_no_token(address)
    try:
        context = ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except ray.exceptions.AuthenticationError:
        raise _token_wanted(address) from None
    except ConnectionError as exc:
        reason = (str(exc).splitlines() or [type(exc).__name__])[0][:200]
        raise ClusterUnreachable(
            "cluster_unreachable",
            f"no Ray cluster can be joined ({reason}); start one with `ray start --head`, or name one in RAY_ADDRESS",
        ) from None
    dashboard = f"http://{context.dashboard_url}" if context.dashboard_url else ""
    try:
        yield Path(ray.get_runtime_context().get_temp_dir()), dashboard
    finally:
        with suppress(Exception):
            ray.shutdown()


def _require_no_token(address: str) -> None:
    """Ray's client would try for twenty seconds, say so each second, and end with a bare connection error. So a cluster
    is asked once before, unless this process knows that it sends a token."""
    if "RAY_AUTH_MODE" in os.environ:
        return
    import grpc
    from ray._private.services import canonicalize_bootstrap_address

    try:
        head = canonicalize_bootstrap_address(address)
    except (ConnectionError, RuntimeError):
        return  # Ray's own error says more
    if head is None or "://" in head:
        return
    with grpc.insecure_channel(head) as channel:
        try:
            channel.unary_unary("/ray.rpc.NodeInfoGcsService/CheckAlive")(b"", timeout=5.0)
        except grpc.RpcError as exc:
            if exc.code() is grpc.StatusCode.UNAUTHENTICATED:
                raise _token_wanted(address) from None


def _token_wanted(address: str) -> ClusterUnreachable:
    where = "of this node" if address == "auto" else f"at {address}"
    return ClusterUnreachable(
        "cluster_unauthenticated",
        f"the Ray cluster {where} wants a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH unless it is in "
        "~/.ray/auth_token",
    )


def _require_free(host: str, port: int) -> None:
    """HAProxy binds with SO_REUSEPORT: it would silently share a port that another instance serves."""
    with socket.socket() as sock:
        if sock.connect_ex((host, port)) == 0:
            raise PortTakenError(port)


def _sweep_up_after_the_dead() -> None:
    """An instance that was killed leaves its proxy listening and its folder behind: end and remove them."""
    for folder in _SHORT.glob(f"{_PREFIX}*"):
        with suppress(OSError, ValueError):
            owner = folder / _OWNER
            # Anyone may make such a folder in /tmp, with a link in it to a file of ours.
            ours = all(
                path.lstat().st_uid == os.getuid() and not path.is_symlink() for path in (folder, owner)
            )
            if ours and not psutil.pid_exists(int(owner.read_text(encoding="ascii"))):
                _end_proxies(folder)
                shutil.rmtree(folder, ignore_errors=True)


def _end_proxies(folder: Path) -> None:
    """A proxy that was being reloaded outlives its manager: end those whose configuration lies in our folder."""
    for process in psutil.process_iter(["cmdline"]):
        if any(part.startswith(f"{folder}/") for part in process.info["cmdline"] or ()):
            with suppress(psutil.Error):
                process.kill()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=60).status_code == 200
    except httpx.HTTPError:
        return False
