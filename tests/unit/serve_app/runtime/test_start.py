"""What `running` waits for, read from Serve's status. No Ray here."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serve_app.config import AppConfig
from serve_app.runtime.environment import serve_environment
from serve_app.runtime.start import _not_yet_running
from serve_app.start_failures import reason_in


def status(name: str, message: str = "", **deployments: str) -> Any:
    return SimpleNamespace(
        status=SimpleNamespace(value=name),
        message=message,
        deployments={
            part: SimpleNamespace(status=SimpleNamespace(value=state), message="")
            for part, state in deployments.items()
        },
    )


@pytest.fixture
def config(tmp_path: Path) -> AppConfig:
    return AppConfig.local(tmp_path)


def test_an_application_is_waited_for_by_the_parts_that_are_not_up(config: AppConfig) -> None:
    waiting = status("DEPLOYING", Gate="HEALTHY", Voice="UPDATING", Ingress="UPDATING")
    assert (
        _not_yet_running(waiting, config) == "the voice replica, which loads the embedded engine, the ingress"
    )
    assert _not_yet_running(None, config) == "Ray Serve's controller"


def test_a_part_that_is_ill_for_a_while_is_waited_for(config: AppConfig) -> None:
    assert _not_yet_running(status("UNHEALTHY", Gate="UNHEALTHY", Voice="HEALTHY"), config) is not None


def test_a_running_application_is_not_waited_for(config: AppConfig) -> None:
    assert _not_yet_running(status("RUNNING", Gate="HEALTHY"), config) is None


def test_a_deployment_that_failed_ends_the_wait_with_its_reason(config: AppConfig) -> None:
    message = 'replica failed to start: {"code": "engine_unavailable", "message": "no model"}'
    with pytest.raises(RuntimeError) as failed:
        _not_yet_running(status("DEPLOY_FAILED", message, Gate="HEALTHY"), config)
    assert reason_in(str(failed.value)) == ("engine_unavailable", "no model")


def test_serves_own_clocks_are_long(tmp_path: Path) -> None:
    settings = serve_environment(tmp_path)
    assert float(settings["RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S"]) >= 600
    assert float(settings["RAY_SERVE_HAPROXY_STARTUP_TIMEOUT_S"]) >= 600
