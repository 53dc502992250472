"""A stamper runs for months: what one clip takes is given back before the next."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import psutil
import pytest
import torch

from provenance.formats.catalogue import FORMATS
from provenance.formats.delivery import Delivery
from provenance.stamp import Stamper
from tests.unit.provenance.authority import Authority
from tests.unit.provenance.conftest import RATE, a_disclosure, speech_like

GROWTH_BYTES = (
    24 << 20
)  # of the allocator and of caches that fill once; a leak of 10 KB a clip is 100 MB in 10,000


def resident(stamps: int) -> Iterator[int]:
    """Resident bytes, a quarter of the way in and at the end. Formats take turns."""
    stamper, samples = Stamper(Authority.create().signer), speech_like(0.2)
    process, wanted = psutil.Process(), itertools.cycle([Delivery(f, f.rates[0]) for f in FORMATS.values()])
    for done in range(stamps):
        if done == stamps // 4:
            yield process.memory_info().rss
        stamper.stamp(samples, RATE, a_disclosure(clip_id=f"{done:032x}"), next(wanted))
    yield process.memory_info().rss


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_thousand_stamps_leave_memory_as_it_was() -> None:
    early, late = resident(1_000)
    assert late - early < GROWTH_BYTES


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_ten_thousand_stamps_leave_memory_as_it_was() -> None:
    early, late = resident(10_000)
    assert late - early < GROWTH_BYTES
