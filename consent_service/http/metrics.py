"""What the service tells Prometheus: how many, how long, with which outcome. No id, name or secret is ever a label."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from consent_service.models import Allow, Deny

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})


class ApiMetrics:
    """A registry of its own: two applications in one process don't meet. `leaf_ends`: asked with every scrape; Unix
    seconds, or NaN where that is not known."""

    def __init__(self, leaf_ends: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "vouch_consent_requests",
            "Requests answered.",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "vouch_consent_request_seconds",
            "From the first byte read to the last byte sent.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._decisions = Counter(
            "vouch_consent_decisions", "Decisions of the gate.", ("outcome",), registry=self._registry
        )
        self._redeemed = Counter(
            "vouch_consent_redeemed", "Grants that were used up.", ("kind",), registry=self._registry
        )
        Gauge(
            "vouch_consent_leaf_ends_timestamp_seconds",
            "Until when manifests can be signed. Renewed four years before.",
            registry=self._registry,
        ).set_function(leaf_ends)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        method = method if method in _METHODS else "other"  # a caller may send any word
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def decided(self, verdicts: Sequence[Allow | Deny]) -> None:
        for verdict in verdicts:
            self._decisions.labels(verdict.code if isinstance(verdict, Deny) else "allowed").inc()

    def redeemed(self, kind: str) -> None:
        self._redeemed.labels(kind).inc()

    def exposition(self) -> bytes:
        """The text format of Prometheus."""
        return generate_latest(self._registry)
