"""Two instances and somebody else's Ray on one machine: none is in another's way, and Ctrl-C leaves nothing behind."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.serve_app.instance import Instance, open_instance, until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

FOREIGN = """
import sys, tempfile, ray
with tempfile.TemporaryDirectory(prefix="vf-", dir="/tmp", ignore_cleanup_errors=True) as folder:
    ray.init(address="local", num_cpus=1, include_dashboard=False, object_store_memory=100_000_000, _temp_dir=folder,
             log_to_driver=False, logging_level="ERROR")
    @ray.remote
    def double(n): return 2 * n
    for line in sys.stdin:
        print(ray.get(double.remote(int(line))), flush=True)
    ray.shutdown()
"""


@pytest.fixture
def foreign() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", FOREIGN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    assert process.stdin is not None
    process.stdin.close()
    process.wait(60)


def doubled(foreign: subprocess.Popen[str], number: int) -> int:
    assert foreign.stdin is not None
    assert foreign.stdout is not None
    foreign.stdin.write(f"{number}\n")
    foreign.stdin.flush()
    return int(foreign.stdout.readline())


def speaks(instance: Instance, text: str) -> bool:
    body = {"text": text, "language": "en", "speaker": "Vivian", "purpose": "narration"}
    return instance.post("/v1/custom-voice", body).status_code == 200


def test_two_instances_and_a_foreign_ray_do_not_meet(
    instance: Instance, foreign: subprocess.Popen[str]
) -> None:
    assert doubled(foreign, 2) == 4
    second = open_instance()
    family: list[psutil.Process] = []
    try:
        assert second.url != instance.url
        assert all(speaks(one, "Each for itself.") for one in (instance, second))
        stranger = instance.http.get("/v1/voices", headers=second.bearer("narrator"))
        assert stranger.status_code == 401, "one instance's keys are nothing to the other"
        assert doubled(foreign, 3) == 6
        family = second.family()
        assert len(family) > 5
        port = int(second.url.rsplit(":", 1)[1])
        assert second.interrupt() == 0
        assert second.process.stdout is not None
        assert second.process.stdout.read() == "", "its one JSON value is all that it said"
        left = until(lambda: not [p for p in family if _alive(p)], "every process of it has ended")
        assert left
        with socket.socket() as sock:
            assert sock.connect_ex(("127.0.0.1", port)) != 0, "its port is free"
        assert not second.folder.exists()
        assert [p for p in Path("/dev/shm").glob("*") if second.folder.name in p.name] == []
        assert list(second.temporary.iterdir()) == []
    finally:
        second.kill()
        for process in family:
            if _alive(process):
                process.kill()
        shutil.rmtree(second.data_dir.parent, ignore_errors=True)
    assert speaks(instance, "The other one has gone.")
    assert doubled(foreign, 4) == 8


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_port_that_is_taken_is_said_at_once(instance: Instance) -> None:
    port = instance.url.rsplit(":", 1)[1]
    done = subprocess.run(
        [sys.executable, "-m", "vouch.cli", "up", "--port", port, "--json", "--no-dashboard"],
        capture_output=True, text=True, timeout=60, env={**_environment(instance)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "port_taken" in done.stdout + done.stderr


def _environment(instance: Instance) -> dict[str, str]:
    import os

    return {**os.environ, "VOUCH_DATA_DIR": str(instance.data_dir)}
