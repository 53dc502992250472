"""The environment of one Serve instance: what Ray Serve, HAProxy and Ray's workers read when they start."""

from __future__ import annotations

import socket
from pathlib import Path

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
    # Serve's fallback proxy: uvicorn believes X-Forwarded-For of this machine, and HAProxy is on it for every caller.
    "FORWARDED_ALLOW_IPS": "",
    "RAY_worker_maximum_startup_concurrency": "8",  # more actors than cores: small ones, waiting most of the time
    "RAY_SERVE_LOG_TO_STDERR": "0",
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",  # else a warning waits for 999 others
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # On a busy machine a part that is late is well. Serve replaces a proxy that is not ready after 5 s, three times,
    # and HAProxy has 30 s to start; both look at once whether the process has ended.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "3600",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_HAPROXY_STARTUP_TIMEOUT_S": "3600",
    "RAY_SERVE_MAX_QUEUE_LENGTH_RESPONSE_DEADLINE_S": "10",
}
_PORTS = (
    "RAY_SERVE_HAPROXY_METRICS_PORT",
    "RAY_SERVE_HAPROXY_STATS_PORT",
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
)


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
