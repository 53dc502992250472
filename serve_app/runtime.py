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
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import psutil

from serve_app.config import AppConfig

log = logging.getLogger("vouch.serve")

# A whole clip, and an enrolment's recordings, pass without Ray's proxy process: HAProxy speaks to the replica itself.
_SERVE_SETTINGS = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # What passes between replicas: an enrolment's recordings, the samples of a long clip. Ray's default of 4 MB is
    # 43 seconds of speech.
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(256 * 1024**2),
    "RAY_SERVE_REPLICA_UTILIZATION_WINDOW_S": "60",
    "RAY_SERVE_REPLICA_UTILIZATION_REPORT_INTERVAL_S": "5",
    # A replica that is shut down waits this long for requests that HAProxy may still send.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
    "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "5",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_maximum_startup_concurrency": "8",  # more actors than cores: small ones, waiting most of the time
    "RAY_SERVE_LOG_TO_STDERR": "0",
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",  # else a warning waits for 999 others
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_PORTS = (
    "RAY_SERVE_HAPROXY_METRICS_PORT",
    "RAY_SERVE_HAPROXY_STATS_PORT",
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
)


_SHORT: Final = Path("/tmp")  # noqa: S108 - the paths of Unix sockets must be short
_PREFIX: Final = "vouch-"
_OWNER: Final = "owner.pid"


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


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on at this moment, all different."""
    held: list[socket.socket] = []
    try:
        for _ in range(count):
            sock = socket.socket()
            sock.bind(("127.0.0.1", 0))
            held.append(sock)
        return [sock.getsockname()[1] for sock in held]
    finally:
        for sock in held:
            sock.close()


def serve_environment(folder: Path) -> dict[str, str]:
    """The settings of one Serve instance; everything that HAProxy writes goes under `folder`."""
    proxy = folder / "haproxy"
    proxy.mkdir(parents=True, exist_ok=True)
    *fixed, low = free_ports(len(_PORTS) + 1)
    low = 20_000 + low % 10_000  # below the ephemeral range, where replicas' own ports may be asked for
    return {
        **_SERVE_SETTINGS,
        **{name: str(port) for name, port in zip(_PORTS, fixed, strict=True)},
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(proxy / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(proxy / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(proxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(proxy / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(proxy / "metrics.sock"),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(low),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(low + 400),
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(low + 401),
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(low + 800),
    }


@contextmanager
def running(
    config: AppConfig, *, dashboard: bool = False, drain: bool = True, ready_timeout_s: float = 180.0
) -> Iterator[Running]:
    """Start the application, wait until it is ready, stop what was started on the way out.

    Profile `local` starts a Ray of its own; `cluster` joins the one that `RAY_ADDRESS` (or this node) names, and
    leaves it, and other applications on it, as they were. `drain`: let requests in flight end first.
    Raises PortTakenError, ClusterUnreachable, or RuntimeError when the application does not become ready.
    """
    _sweep_up_after_the_dead()
    port = config.http.port or free_ports(1)[0]
    config = config.on_port(port)
    _require_free(config.http.host, port)
    with _own_ray(dashboard=dashboard) if config.profile == "local" else _cluster_ray() as (folder, address):
        from ray import serve

        from serve_app.app import APP_NAME, build_app

        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        try:
            serve.start(
                proxy_location=config.http.proxy_location,
                http_options={"host": config.http.host, "port": port},
            )
            serve.run(build_app(config), name=APP_NAME, route_prefix="/", blocking=False)
            # From here on this process only waits; its router's remarks on that are of no use to anyone.
            logging.getLogger("ray.serve").setLevel(logging.CRITICAL)
            url = f"http://{config.http.host}:{port}"
            _wait_ready(url, ready_timeout_s)
            yield Running(url, folder, address)
        finally:
            with _without_rays_word(), suppress(Exception):
                if config.profile == "cluster":
                    serve.delete(APP_NAME)
                elif drain:
                    serve.shutdown()


@contextmanager
def _own_ray(*, dashboard: bool) -> Iterator[tuple[Path, str]]:
    """An embedded Ray with ports and folders of its own: (its folder, the dashboard's address)."""
    if "ray.serve" in sys.modules:
        log.warning("ray.serve was imported before its settings were made; HAProxy may meet another instance")
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_SHORT))
    (folder / _OWNER).write_text(str(os.getpid()), encoding="ascii")
    os.environ.update({k: v for k, v in serve_environment(folder).items() if k not in os.environ})
    import ray

    try:
        with _job_agent_port(free_ports(1)[0]):
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
def _job_agent_port(port: int) -> Iterator[None]:
    """Every Ray on a machine gives its job agent port 52365, and one that finds it taken takes no jobs, silently.
    `ray.init` has no argument for it; `ray start` has, so the parameter is there and only the default is in the way.
    """
    from ray._private import parameter

    before = parameter.RayParams
    parameter.RayParams = partial(before, dashboard_agent_listen_port=port)
    try:
        yield
    finally:
        parameter.RayParams = before


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


def _wait_ready(url: str, timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    last = "no answer"
    while time.monotonic() < until:
        try:
            answer = httpx.get(f"{url}/readyz", timeout=10)
            if answer.status_code == 200:
                return
            last = answer.text
        except httpx.HTTPError as exc:
            last = type(exc).__name__
        time.sleep(0.1)
    raise RuntimeError(f"the application did not become ready within {timeout_s:.0f} s: {last}")
