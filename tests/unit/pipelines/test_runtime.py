"""A narration joins the cluster that it was told of or started by, never one that merely is on the machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from consent_service.config import ConsentConfig
from pipelines.config import NarrateConfig
from pipelines.runtime import address_for
from speech.config import EngineConfig

CONFIG = NarrateConfig(
    input="i",
    output="o",
    consent=ConsentConfig(data_dir=Path("data")),
    engine=EngineConfig(name="embedded"),
    api_key_file=Path("k"),
)


def process(*arguments: str) -> Callable[[], list[str]]:
    return lambda: list(arguments)


def gone() -> list[str]:
    raise psutil.NoSuchProcess(1)


SHELL = process("/bin/sh", "-c", "python -m pipelines --gcs-address=10.0.0.9:1")
RAYLET = process("/opt/ray/raylet", "--raylet_socket_name=x", "--gcs-address=10.0.0.1:6379", "--y=z")


@pytest.fixture(autouse=True)
def another_ray_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.2:6379")


def test_a_job_joins_the_cluster_whose_raylet_started_it() -> None:
    assert address_for(CONFIG, [SHELL, gone, RAYLET]) == "10.0.0.1:6379"


def test_what_the_caller_says_comes_first() -> None:
    told = CONFIG.model_copy(update={"ray_address": "10.0.0.3:6379"})
    assert address_for(told, [RAYLET]) == "10.0.0.3:6379"


def test_outside_a_job_the_environment_is_what_the_caller_says() -> None:
    assert address_for(CONFIG, [SHELL]) == "10.0.0.2:6379"


def test_with_nobody_to_ask_a_private_ray_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS")
    assert address_for(CONFIG, [SHELL]) is None
