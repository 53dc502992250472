"""The dashboard reads series that exist, shows every series of ours, and can be imported as it is.

That each query returns data is shown against a real Prometheus in the integration tests; here the names are
held against the installed Ray's sources, so that an upgrade which renames one is noticed at once.
"""

from __future__ import annotations

import itertools
import re
from functools import cache
from pathlib import Path

import pytest
import ray
import yaml

from serve_app.metrics import SERIES
from tests.assets.dashboard import load, metric_names, panels, queries

ROOT = Path(__file__).resolve().parents[3]
RAY_EXPORTERS = ("serve/_private", "dashboard/modules/reporter")


def series_of(metric: str) -> str:
    """The metric behind an exported name: no prefix, no suffix of a histogram's parts."""
    return re.sub(r"_(bucket|sum|count)$", "", metric.removeprefix("ray_"))


@cache
def metrics_of_ray() -> frozenset[str]:
    """Names in string literals of Ray's exporters; a counter's exported name gains `_total`."""
    root = Path(ray.__file__).parent
    files = itertools.chain.from_iterable((root / folder).rglob("*.py") for folder in RAY_EXPORTERS)
    literals = re.compile(r'"((?:serve|node)_[\w{}.()]+)"')
    names = {name for file in files for name in literals.findall(file.read_text(encoding="utf-8"))}
    names = {re.sub(r"\{.*?\}", "http", name) for name in names}  # f"serve_num_{protocol}_requests"
    return frozenset(names | {f"{name}_total" for name in names})


@pytest.mark.parametrize(("title", "expression"), queries())
def test_every_series_that_is_read_is_exported(title: str, expression: str) -> None:
    read = {series_of(metric) for metric in metric_names(expression)}
    assert read, f"{title} reads nothing"
    assert read <= metrics_of_ray() | set(SERIES), f"{title}: {read - metrics_of_ray() - set(SERIES)}"


def test_a_name_that_nobody_exports_is_noticed() -> None:
    assert "serve_replica_utilisation_percent" not in metrics_of_ray() | set(SERIES)


def test_every_series_of_ours_is_shown() -> None:
    shown = {series_of(metric) for _, expression in queries() for metric in metric_names(expression)}
    assert set(SERIES) <= shown


def test_every_variable_is_substituted() -> None:
    assert not [title for title, expression in queries() if "$" in expression]


def test_the_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    every = load()["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    cells = [
        (x, y)
        for box in (panel["gridPos"] for panel in every)
        for x in range(box["x"], box["x"] + box["w"])
        for y in range(box["y"], box["y"] + box["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert all(0 <= x < 24 for x, _ in cells)


def test_the_data_source_is_the_importers_choice() -> None:
    sources = [target["datasource"] for panel in panels() for target in panel["targets"]]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def test_the_example_prometheus_scrapes_what_ray_discovers() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    files = config["scrape_configs"][0]["file_sd_configs"][0]["files"]
    assert [Path(file).name for file in files] == ["prom_metrics_service_discovery.json"]
