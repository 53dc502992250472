"""The Ray that a command starts on this machine: how long its parts may take to start, and under which ports.

Ray has fixed time limits for its own start, made for a machine that is free: 15 s for an agent's port, 30 s for a
node, 60 s for a worker. On a busy machine all of them pass while everything is well. Within `patience` the limits are
long, and what ends a wait early is the end of the process that is waited for. For a Ray that is joined, and not
started, nothing changes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from serve_app.runtime.environment import free_ports
from vouch.output import Failed

_LONG_S: Final = 6 * 3600
_LONG_MS: Final = _LONG_S * 1000
_POLL_S: Final = 0.2

# Ray 2.60, src/ray/common/ray_config_def.h and _private/ray_constants.py. Each process reads them when it starts.
SETTINGS: Final = {
    # Ray runs workers at nice 15. Beside four busy processes a core that is less than 1 % of it for the gate, the
    # engine and the proxy, which are workers too.
    "RAY_worker_niceness": "0",
    "RAY_worker_register_timeout_seconds": str(_LONG_S),
    "RAY_raylet_start_wait_time_s": "2",  # of one look at whether the node is there; `_Start.node` looks again
    "RAY_agent_register_timeout_ms": str(_LONG_MS),
    "RAY_gcs_server_port_wait_time_s": str(_LONG_S),
    "RAY_gcs_server_request_timeout_seconds": str(_LONG_S),
    "RAY_gcs_rpc_server_connect_timeout_s": "60",
    "RAY_py_gcs_connect_timeout_s": "600",
    "RAY_raylet_client_num_connect_attempts": "600",  # a second each
    # A raylet that has ended refuses connections, which counts at once; one that is slow to answer has not ended.
    "RAY_health_check_timeout_ms": str(_LONG_MS),
    "RAY_io_context_monitor_healthy_deadline_ms": str(_LONG_MS),
    "RAY_grpc_keepalive_timeout_ms": "600000",
    "RAY_actor_scheduling_queue_max_reorder_wait_seconds": "600",
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": str(_LONG_S),
    "RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT": str(_LONG_S),
    "RAY_DASHBOARD_GCS_RPC_TIMEOUT_SECONDS": "600",
}

# A raylet reads the ports that its agents chose from files, and waits 15 s for them, which nothing can change. It does
# not wait for ports that it is given; Ray gives it all but that of the job agent. Every Ray on a machine gives that one
# port 52365, besides, and one that finds it taken takes no jobs, silently.
_JOB_AGENT_PORT: Final = "dashboard_agent_listen_port"
_AGENT_PORTS: Final = ("metrics_agent_port", "metrics_export_port", "runtime_env_agent_port", _JOB_AGENT_PORT)


@contextmanager
def patience() -> Iterator[None]:
    """Within it, a Ray that `ray.init` starts may take its time. Enter it before `ray.serve` is imported. The settings
    stay in the environment: processes that Ray starts later read them too. What the operator has set stays as it is.

    `ray.init` then raises Failed (ray_not_started) as soon as a process that it waits for has ended. Once the node is
    there and this process registers with it, that is in the hands of Ray's own code: it ends this process, with a line
    of its own and exit code 1, at once for the raylet and after a minute for the GCS server.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    from ray._private import node, parameter, services

    start = _Start()
    # `ray.init` has no arguments for these. A Ray that names them differently must not be started with its own limits,
    # silently: AttributeError.
    with ExitStack() as patches:
        for module, name, replacement in (
            (parameter, "RayParams", start.parameters),
            (services, "start_ray_process", start.process),
            (services, "get_node", start.node),
            (node, "wait_for_persisted_port", start.port),
        ):
            patches.enter_context(_replaced(module, name, replacement))
        yield


class _Start:
    """One start of Ray. Each method takes the place of a function of Ray's, which it is given first."""

    def __init__(self) -> None:
        self._processes: dict[str, Any] = {}  # type → subprocess.Popen
        self._job_agent_port = 0

    def parameters(self, before: Any, *args: Any, **kwargs: Any) -> Any:
        given = before(*args, **kwargs)
        if kwargs.get("gcs_address") is None:  # a node is started, not joined
            for name, port in zip(_AGENT_PORTS, free_ports(len(_AGENT_PORTS)), strict=True):
                setattr(given, name, port)
            self._job_agent_port = getattr(given, _JOB_AGENT_PORT)
        return given

    def process(self, before: Any, command: list[str], process_type: str, *args: Any, **kwargs: Any) -> Any:
        if process_type == "raylet" and self._job_agent_port:
            command = [*command, f"--{_JOB_AGENT_PORT}={self._job_agent_port}"]
        started = before(command, process_type, *args, **kwargs)
        self._processes[process_type] = started.process
        return started

    def port(self, before: Any, *args: Any, timeout_ms: int, **kwargs: Any) -> Any:
        """Of the GCS server, from its file; Ray raises RuntimeError when there is none in time."""
        until = time.monotonic() + timeout_ms / 1000
        while True:
            try:
                return before(*args, timeout_ms=min(timeout_ms, 1000), **kwargs)
            except RuntimeError:
                self._require_alive("gcs_server")
                if time.monotonic() >= until:
                    raise

    def node(self, before: Any, *args: Any, **kwargs: Any) -> Any:
        """What the GCS server knows of a node; Ray raises RuntimeError until the raylet has registered, and gives a
        node 30 s for that."""
        until = time.monotonic() + _LONG_S
        while True:
            try:
                return before(*args, **kwargs)
            except RuntimeError:
                self._require_alive("gcs_server", "raylet")
                if not self._processes or time.monotonic() >= until:
                    raise
                time.sleep(_POLL_S)

    def _require_alive(self, *types: str) -> None:
        for process_type in types:
            process = self._processes.get(process_type)
            if process is not None and (code := process.poll()) is not None:
                raise Failed(
                    "ray_not_started", f"Ray did not start: its {process_type} ended with exit code {code}"
                )


@contextmanager
def _replaced(module: Any, name: str, replacement: Any) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, lambda *args, **kwargs: replacement(before, *args, **kwargs))
    try:
        yield
    finally:
        setattr(module, name, before)
