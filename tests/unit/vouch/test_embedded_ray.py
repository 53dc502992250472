"""Ray's start follows its processes and not a clock: no Ray here, only the functions that take the place of Ray's."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from vouch.embedded_ray import SETTINGS, _Start, patience
from vouch.output import Failed


def process(start: _Start, kind: str, *code: str) -> subprocess.Popen[bytes]:
    """A process of that kind, started as Ray starts one."""

    def before(command: list[str], process_type: str) -> Any:
        return SimpleNamespace(process=subprocess.Popen(command))

    started = start.process(before, [sys.executable, "-c", *code], kind)
    return started.process  # type: ignore[no-any-return]


def never(*_: object, **__: object) -> Any:
    raise RuntimeError("Timed out waiting for file")


def test_settings_are_in_the_environment_and_the_operators_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_worker_niceness", "7")
    with patience():
        assert {name: os.environ.get(name) for name in SETTINGS} == SETTINGS | {"RAY_worker_niceness": "7"}
    for name in SETTINGS:  # monkeypatch restores only what it knows of
        monkeypatch.setenv(name, "")


def test_patience_replaces_functions_that_this_ray_has_and_puts_them_back() -> None:
    from ray._private import node, parameter, services

    places = ((parameter, "RayParams"), (services, "start_ray_process"), (services, "get_node"),
              (node, "wait_for_persisted_port"))  # fmt: skip
    before = [getattr(module, name) for module, name in places]
    with patience():
        assert all(getattr(m, n) is not was for (m, n), was in zip(places, before, strict=True))
    assert [getattr(module, name) for module, name in places] == before


def test_a_node_that_registers_late_is_waited_for() -> None:
    start, answers = _Start(), iter([RuntimeError(), RuntimeError(), {"node": "here"}])
    raylet = process(start, "raylet", "import time; time.sleep(600)")

    def look() -> dict[str, str]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    try:
        assert start.node(look) == {"node": "here"}
    finally:
        raylet.kill()
        raylet.wait()


@pytest.mark.parametrize("kind", ["raylet", "gcs_server"])
def test_a_dead_process_ends_the_wait_for_the_node_with_its_name(kind: str) -> None:
    start = _Start()
    process(start, kind, "raise SystemExit(3)").wait()
    with pytest.raises(Failed, match=f"{kind} ended with exit code 3") as failed:
        start.node(never)
    assert failed.value.code == "ray_not_started"


def test_a_dead_gcs_server_ends_the_wait_for_its_port() -> None:
    start = _Start()
    process(start, "gcs_server", "raise SystemExit(1)").wait()
    with pytest.raises(Failed, match="gcs_server"):
        start.port(never, "folder", timeout_ms=3_600_000)


def test_a_node_that_this_process_did_not_start_is_not_waited_for() -> None:
    with pytest.raises(RuntimeError):
        _Start().node(never)


def test_the_raylet_is_given_every_port_that_it_would_wait_for() -> None:
    start = _Start()
    given = start.parameters(lambda **_: SimpleNamespace(), gcs_address=None)
    ports = [given.metrics_agent_port, given.metrics_export_port, given.runtime_env_agent_port,
             given.dashboard_agent_listen_port]  # fmt: skip
    assert len(set(ports)) == 4
    assert all(ports)
    commands: list[list[str]] = []

    def before(command: list[str], process_type: str) -> Any:
        commands.append(command)
        return SimpleNamespace(process=None)

    start.process(before, ["raylet"], "raylet")
    start.process(before, ["gcs_server"], "gcs_server")
    assert commands == [
        ["raylet", f"--dashboard_agent_listen_port={given.dashboard_agent_listen_port}"],
        ["gcs_server"],
    ]


def test_a_joined_cluster_keeps_its_ports() -> None:
    given = _Start().parameters(lambda **_: SimpleNamespace(), gcs_address="10.0.0.1:6379")
    assert vars(given) == {}
