"""Token buckets: a burst, a refill, and memory that does not grow with the names that callers choose."""

from __future__ import annotations

from dataclasses import dataclass

from foundation.rate_limits import Buckets


@dataclass
class Ticking:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_refills_with_time_and_is_then_forgotten() -> None:
    clock = Ticking()
    buckets = Buckets(2, 0.5, clock=clock)
    buckets.take("a")
    buckets.take("a")
    assert (buckets.wait_s("a"), buckets.wait_s("b")) == (2.0, 0.0)
    clock.now += 1.0
    assert buckets.wait_s("a") == 1.0
    clock.now += 1.0
    assert buckets.wait_s("a") == 0.0
    clock.now += 2.0
    assert buckets.is_full("a")
    assert len(buckets) == 0


def test_memory_does_not_grow_with_the_number_or_length_of_names() -> None:
    buckets = Buckets(2, 0.001, most=100, clock=Ticking())
    for number in range(1000):
        buckets.take(f"{number}" * 1000)
    assert len(buckets) == 100
    assert buckets.wait_s("999" * 1000) == 0.0
    buckets.take("999" * 1000)
    assert buckets.wait_s("999" * 1000) > 0.0
