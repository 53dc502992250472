"""`cluster.yaml` is one that `ray up` accepts, checked with Ray's own schema and without a cloud."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).resolve().parents[3]
Config = dict[str, Any]


@pytest.fixture
def cluster() -> Config:
    return yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8"))


def validated(config: Config) -> Config:
    prepared = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    return prepared


def test_ray_up_accepts_the_file(cluster: Config) -> None:
    types = validated(cluster)["available_node_types"]
    assert set(types) == {"head", "cpu", "gpu"}


def _fractional_gpu(config: Config) -> None:
    config["available_node_types"]["gpu"]["resources"]["GPU"] = 0.25


def _unknown_key(config: Config) -> None:
    config["available_node_types"]["gpu"]["maximum_workers"] = 8


def _no_head(config: Config) -> None:
    config["head_node_type"] = "heads"


def _more_at_least_than_at_most(config: Config) -> None:
    config["available_node_types"]["gpu"]["min_workers"] = config["max_workers"]


def _misspelt_docker(config: Config) -> None:
    config["docker"]["imagine"] = "rayproject/ray"


BROKEN = [_fractional_gpu, _unknown_key, _no_head, _more_at_least_than_at_most, _misspelt_docker]


@pytest.mark.parametrize("break_it", BROKEN, ids=lambda function: function.__name__.strip("_"))
def test_a_broken_bound_or_key_is_refused(cluster: Config, break_it: Callable[[Config], None]) -> None:
    break_it(cluster)
    with pytest.raises((jsonschema.ValidationError, ValueError)):
        validated(cluster)


def test_the_bounds_of_the_worker_types_fit_the_cluster(cluster: Config) -> None:
    workers = [
        kind for name, kind in cluster["available_node_types"].items() if name != cluster["head_node_type"]
    ]
    assert all(0 <= kind["min_workers"] <= kind["max_workers"] for kind in workers)
    assert sum(kind["max_workers"] for kind in workers) == cluster["max_workers"]


def test_the_head_schedules_nothing(cluster: Config) -> None:
    assert cluster["available_node_types"]["head"]["resources"] == {"CPU": 0}
    assert any("--num-cpus=0" in command for command in cluster["head_start_ray_commands"])


def test_every_image_runs_the_ray_that_is_installed(cluster: Config) -> None:
    pinned = re.search(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned
    images = [cluster["docker"]["head_image"], cluster["docker"]["worker_image"]]
    images += [
        kind["docker"]["worker_image"]
        for kind in cluster["available_node_types"].values()
        if "docker" in kind
    ]
    assert {image.split(":")[1].split("-")[0] for image in images} == {pinned[1]}


def test_no_recording_can_leave_in_a_core_dump_or_on_an_open_disk(cluster: Config) -> None:
    assert "--ulimit=core=0" in cluster["docker"]["run_options"]
    for kind in cluster["available_node_types"].values():
        assert all(disk["Ebs"]["Encrypted"] for disk in kind["node_config"]["BlockDeviceMappings"])


def test_the_gpl_extra_stays_out_of_production(cluster: Config) -> None:
    commands = " ".join(cluster["setup_commands"] + cluster["head_setup_commands"])
    assert "embedded" not in commands
