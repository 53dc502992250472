"""A CPU engine computes with as many threads as make its frame quickest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from speech.qwen import threads
from speech.qwen.threads import settle


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before, compiled = torch.get_num_threads(), torch._inductor.config.cpp.threads
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)
    torch._inductor.config.cpp.threads = compiled


@pytest.mark.parametrize("quickest", [1, 2, 4])
def test_the_number_that_makes_a_frame_quickest_is_kept(
    quickest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def frame() -> None:
        nonlocal now
        now += 1.0 if torch.get_num_threads() == quickest else 2.0

    monkeypatch.setattr(threads.time, "perf_counter", lambda: now)
    assert settle(frame) == quickest
    assert torch.get_num_threads() == quickest
    assert torch._inductor.config.cpp.threads == quickest, (
        "compiled code is kept under the number it was made for"
    )


def test_a_number_that_was_asked_for_is_not_measured() -> None:
    assert settle(pytest.fail, 2) == 2
    assert torch.get_num_threads() == 2
