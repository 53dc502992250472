"""A cluster of two nodes with logical GPUs: replicas follow the load, four to a GPU, and the dashboard sees them."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from consent_service.config import ConsentConfig
from consent_service.service import ConsentService
from tests.assets.dashboard import queries
from vouch.home import make_identity

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

CLIENTS = 16
LOAD_S = 35
LONGEST_LOAD_S = 240  # on a busy machine a replica takes its time to start
PATIENCE_S = 180


@dataclass
class Cluster:
    """The running application, and what was seen of it so far."""

    url: str
    discovery: Path
    key: str
    process: subprocess.Popen[str]
    seen: list[dict[str, Any]] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def watch(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.news:
                self.seen.append(json.loads(line))
                self.news.notify_all()

    def wait(self, what: Callable[[dict[str, Any]], bool], *, since: int = 0) -> dict[str, Any]:
        """The first state after `since` for which `what` holds."""
        with self.news:
            found = self.news.wait_for(
                lambda: next((s for s in self.seen[since:] if what(s)), None), PATIENCE_S
            )
        assert found is not None, f"not seen in {PATIENCE_S} s; last: {self.seen[-1:]}"
        return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="vc-", dir="/tmp"))  # short: Unix socket paths
    service = ConsentService.open(ConsentConfig(data_dir=folder / "data"))
    keys = make_identity(service, tenant="cluster", grantee="cluster")
    service.close()
    script = Path(__file__).with_name("two_nodes.py")
    with (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, str(script), str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first, (folder / "stderr").read_text()[-2000:]
            ready = json.loads(first)
            running = Cluster(ready["url"], Path(ready["discovery"]), keys["narrator"], process)
            threading.Thread(target=running.watch, daemon=True).start()
            yield running
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
            process.stdout.close()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def prometheus(cluster: Cluster) -> Iterator[str | None]:
    """A real Prometheus that scrapes this cluster; None where the machine has none."""
    binary = shutil.which("prometheus")
    if binary is None:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="vp-", dir="/tmp"))
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{sock.getsockname()[1]}"
    discovery = cluster.discovery / "prom_metrics_service_discovery.json"
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 2s, scrape_timeout: 2s}\n"
        f"scrape_configs: [{{job_name: ray, file_sd_configs: [{{files: ['{discovery}'], refresh_interval: 2s}}]}}]\n"
    )
    process = subprocess.Popen(
        [binary, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
         f"--web.listen-address={address}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Loaded:
    """What the load came to."""

    statuses: list[int]
    states: int  # how many states had been seen when it ended


@pytest.fixture(scope="module")
def load(cluster: Cluster, prometheus: str | None) -> Loaded:
    """Sixteen clients, each with one request after another: for half a minute, and until every replica runs."""
    before = cluster.wait(lambda state: state["states"].get("RUNNING") == 1)
    assert sum(before["gpus_used"].values()) == pytest.approx(0.25)

    async def run() -> list[int]:
        begun = time.monotonic()

        def goes_on() -> bool:
            lasted_s = time.monotonic() - begun
            all_run = any(state["states"].get("RUNNING") == 8 for state in cluster.seen)
            return lasted_s < LOAD_S or (not all_run and lasted_s < LONGEST_LOAD_S)

        limits = httpx.Limits(max_connections=CLIENTS)
        headers = {"Authorization": f"Bearer {cluster.key}"}
        async with httpx.AsyncClient(
            base_url=cluster.url, headers=headers, timeout=90, limits=limits
        ) as client:

            async def one(number: int) -> list[int]:
                statuses = []
                while goes_on():
                    text = f"This is request number {len(statuses)} of client {number}."
                    body = {"text": text, "language": "en", "speaker": "Vivian", "purpose": "narration"}
                    statuses.append((await client.post("/v1/custom-voice", json=body)).status_code)
                return statuses

            return [status for part in await asyncio.gather(*map(one, range(CLIENTS))) for status in part]

    return Loaded(asyncio.run(run()), len(cluster.seen))


def test_no_request_is_lost_while_replicas_come_and_go(load: Loaded) -> None:
    assert len(load.statuses) >= CLIENTS
    assert set(load.statuses) == {200}


def test_replicas_grow_with_the_load_and_pack_four_to_a_gpu(cluster: Cluster, load: Loaded) -> None:
    full = [state for state in cluster.seen if state["states"].get("RUNNING") == 8]
    assert full, f"never eight at once: {cluster.seen[load.states - 1]}"
    assert sorted(full[0]["gpus_used"].values()) == [1.0, 1.0]


def test_every_query_of_the_dashboard_returns_data(
    cluster: Cluster, prometheus: str | None, load: Loaded
) -> None:
    if prometheus is None:
        pytest.skip("no `prometheus` binary on this machine (Debian: apt-get install prometheus)")
    until = time.monotonic() + PATIENCE_S
    missing = queries()
    with httpx.Client(base_url=prometheus, timeout=10) as client:
        while missing and time.monotonic() < until:
            for panel in list(missing):
                answer = client.get("/api/v1/query", params={"query": panel[1]}).json()
                if answer["status"] == "success" and answer["data"]["result"]:
                    missing.remove(panel)
            time.sleep(1)  # between scrapes there is nothing new
    assert not missing


def test_replicas_go_back_to_one_when_the_load_is_over(cluster: Cluster, load: Loaded) -> None:
    cluster.wait(lambda state: state["states"] == {"RUNNING": 1}, since=load.states)
