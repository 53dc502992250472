"""What every `Metrics` promises: each series once, under its name and with its labels, whoever exports it. The
implementations: Ray's metrics, for replicas, and prometheus-client, for a process outside Ray."""

from __future__ import annotations

import pytest

from serve_app.metrics import SERIES, Metrics, PrometheusMetrics, RayMetrics

COUNTERS = [name for name, (kind, *_) in SERIES.items() if kind == "counter"]
HISTOGRAMS = [name for name, (kind, *_) in SERIES.items() if kind == "histogram"]


@pytest.fixture(scope="module", params=[PrometheusMetrics, RayMetrics])
def metrics(request: pytest.FixtureRequest) -> Metrics:
    made: Metrics = request.param()
    return made


def labels_of(name: str) -> dict[str, str]:
    return dict.fromkeys(SERIES[name][2], "some")


@pytest.mark.parametrize("name", COUNTERS)
def test_a_counter_counts_with_its_labels(metrics: Metrics, name: str) -> None:
    metrics.count(name, **labels_of(name))
    metrics.count(name, 2.5, **labels_of(name))


@pytest.mark.parametrize("name", COUNTERS)
def test_nothing_may_be_counted(metrics: Metrics, name: str) -> None:
    metrics.count(name, 0.0, **labels_of(name))


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_a_histogram_observes_with_its_labels(metrics: Metrics, name: str) -> None:
    for value in (0.0, 0.3, 1e6):
        metrics.observe(name, value, **labels_of(name))


@pytest.mark.parametrize("name", COUNTERS)
def test_a_label_that_a_series_does_not_have_is_refused(metrics: Metrics, name: str) -> None:
    with pytest.raises(ValueError):
        metrics.count(name, **labels_of(name), voice="a voice")


@pytest.mark.parametrize("name", [name for name in COUNTERS if SERIES[name][2]])
def test_a_missing_label_is_refused(metrics: Metrics, name: str) -> None:
    with pytest.raises(ValueError):
        metrics.count(name)


def test_a_name_that_is_no_series_is_refused(metrics: Metrics) -> None:
    with pytest.raises(KeyError):
        metrics.count("vouch_of_nobody_total")
    with pytest.raises(KeyError):
        metrics.observe("vouch_of_nobody_seconds", 1.0)
