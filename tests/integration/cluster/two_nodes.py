"""A Ray cluster of a head and two nodes with one logical GPU each, on this machine, with the application on it.

Run as a script: `two_nodes.py FOLDER`. Prints one JSON line when ready, then one each half second with what runs where;
ends when standard input is closed.
"""

from __future__ import annotations

import json
import os
import select
import sys
from pathlib import Path

SETTINGS = {
    "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.5",
    "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.5",
    "RAY_SERVE_REPLICA_UTILIZATION_WINDOW_S": "20",
    "RAY_SERVE_REPLICA_UTILIZATION_REPORT_INTERVAL_S": "1",
    "RAY_metrics_report_interval_ms": "1000",
    "RAY_health_check_timeout_ms": "30000",
    "RAY_worker_niceness": "0",  # Ray's 15 gives a replica nothing where anything else runs
}


def main(folder: Path) -> None:
    from serve_app.runtime.environment import serve_environment

    (folder / "ray").mkdir()
    # Cluster notes its address under Ray's default folder: make that ours, not one we share with another Ray.
    os.environ.update({**serve_environment(folder), **SETTINGS, "RAY_TMPDIR": str(folder)})
    import ray
    from ray.cluster_utils import Cluster

    from serve_app.app import APP_NAME
    from serve_app.config import AppConfig
    from serve_app.runtime.environment import free_ports
    from serve_app.runtime.start import running

    head = {
        "num_cpus": 4,
        "num_gpus": 0,
        "include_dashboard": True,
        "dashboard_port": free_ports(1)[0],
        "object_store_memory": 200_000_000,
    }
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        cluster.add_node(num_cpus=2, num_gpus=1, object_store_memory=100_000_000)
    os.environ["RAY_ADDRESS"] = cluster.address
    config = AppConfig.model_validate(
        {
            "profile": "cluster",
            "consent": {"data_dir": folder / "data"},
            # About one second of work for a sentence, so that load means replicas.
            "engine": {"name": "embedded", "pace": 3.0},
            "http": {"port": 0},
            "voice": {
                "num_gpus": 0.25,
                "num_cpus": 0.0,
                "min_replicas": 1,
                "max_replicas": 8,
                "target_ongoing_requests": 1.0,
                "max_ongoing_requests": 4,
                "max_queued_requests": 256,
                "upscale_delay_s": 1.0,
                "downscale_delay_s": 5.0,
                "look_back_period_s": 2.0,
                "metrics_interval_s": 0.5,
            },
        }
    )
    try:
        with running(config, drain=False) as app:
            from ray import serve

            print(json.dumps({"url": app.url, "discovery": str(folder / "ray")}), flush=True)  # noqa: T201
            while not select.select([sys.stdin], [], [], 0.5)[0]:
                states = serve.status().applications[APP_NAME].deployments["Voice"].replica_states
                free = ray._private.state.available_resources_per_node()
                total = ray._private.state.total_resources_per_node()
                used = {n: have.get("GPU", 0) - free.get(n, {}).get("GPU", 0) for n, have in total.items()}
                gpus = {n: round(u, 2) for n, u in used.items() if total[n].get("GPU")}
                line = {"states": {str(k): v for k, v in states.items()}, "gpus_used": gpus}
                print(json.dumps(line), flush=True)  # noqa: T201
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
