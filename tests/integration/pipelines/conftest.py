from __future__ import annotations

import functools
import socket
import tempfile
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A Ray on this machine that takes jobs, shared by a module's tests; gives the dashboard's address.

    Its job agent gets a port of its own: that one is 52365 by default for every Ray on a machine, and a Ray that
    finds it taken goes on without and takes no jobs. `ray.init` has no argument for it.
    """
    import ray
    import ray._private.parameter as parameter

    own_port = functools.partial(parameter.RayParams, dashboard_agent_listen_port=free_port())
    # Short: the path of a unix socket may not pass 107 bytes.
    with tempfile.TemporaryDirectory(prefix="vr-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parameter, "RayParams", own_port)
            context = ray.init(
                address="local",
                num_cpus=4,
                include_dashboard=True,
                object_store_memory=128 * 1024**2,
                log_to_driver=False,
                logging_level="ERROR",
                _temp_dir=folder,
            )
        yield f"http://{context.dashboard_url}"
        ray.shutdown()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
