from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.pipelines.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    yield built
    built.service.close()


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A Ray on this machine that takes jobs, shared by a module's tests; gives the dashboard's address."""
    import ray

    # Short: the path of a unix socket may not pass 107 bytes.
    with tempfile.TemporaryDirectory(prefix="vr-", dir="/tmp", ignore_cleanup_errors=True) as folder:
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
