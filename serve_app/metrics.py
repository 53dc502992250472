"""What the online door measures. Labels are codes and modes, never a voice, a person or a text."""

from __future__ import annotations

from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram

MS: Final = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000)
SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

# name → (kind, description, label names, histogram bounds)
SERIES: Final[dict[str, tuple[str, str, tuple[str, ...], tuple[float, ...]]]] = {
    "vouch_decisions_total": (
        "counter",
        "Decisions of the gate, by code (ok or the refusal's)",
        ("code",),
        (),
    ),
    "vouch_audio_seconds_total": ("counter", "Seconds of audio synthesised", ("mode",), ()),
    "vouch_cache_hits_total": ("counter", "Clips served from the cache", (), ()),
    "vouch_streams_total": (
        "counter",
        "Streams that ended, by how and why (ok or a code)",
        ("outcome", "code"),
        (),
    ),
    "vouch_first_audio_ms": ("histogram", "From start of synthesis to the first chunk", (), MS),
    "vouch_synthesis_seconds": ("histogram", "One synthesis in the replica", (), SECONDS),
    "vouch_stamp_seconds": ("histogram", "Watermark, encoding and manifest of one clip", (), SECONDS),
    "vouch_revocation_lag_ms": ("histogram", "From commit of a revocation to a replica", (), MS),
}


class Metrics(Protocol):
    """Counters and histograms by name; the names are those of `SERIES`."""

    def count(self, name: str, value: float = 1.0, **labels: str) -> None: ...

    def observe(self, name: str, value: float, **labels: str) -> None: ...


class RayMetrics:
    """Exported by Ray's agent with the prefix `ray_`. Made inside a replica or driver of a Ray cluster."""

    def __init__(self) -> None:
        from ray.util import metrics

        self._series: dict[str, Any] = {}
        for name, (kind, description, labels, bounds) in SERIES.items():
            self._series[name] = (
                metrics.Counter(name.removesuffix("_total"), description=description, tag_keys=labels)
                if kind == "counter"
                else metrics.Histogram(
                    name, description=description, boundaries=list(bounds), tag_keys=labels
                )
            )

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        series = self._of(name, labels)
        if value > 0:
            series.inc(value, tags=labels)

    def observe(self, name: str, value: float, **labels: str) -> None:
        self._of(name, labels).observe(value, tags=labels)

    def _of(self, name: str, labels: dict[str, str]) -> Any:
        # Ray exports any label that it is given, also one that names a voice.
        if set(labels) != set(SERIES[name][2]):
            raise ValueError(f"{name} has the labels {SERIES[name][2]}")
        return self._series[name]


class PrometheusMetrics:
    """The same series through prometheus-client, for a process outside Ray."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        for name, (kind, description, labels, bounds) in SERIES.items():
            if kind == "counter":
                self._counters[name] = Counter(name, description, labels, registry=self.registry)
            else:
                self._histograms[name] = Histogram(
                    name, description, labels, buckets=bounds, registry=self.registry
                )

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        counter = self._counters[name]
        (counter.labels(**labels) if labels else counter).inc(value)

    def observe(self, name: str, value: float, **labels: str) -> None:
        histogram = self._histograms[name]
        (histogram.labels(**labels) if labels else histogram).observe(value)
