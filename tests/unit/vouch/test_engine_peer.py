"""The peer of the engine's bench computes with the threads that make its batch quickest, whatever suited another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from speech.qwen import threads
from vouch.bench.engine_peer import QwenTts


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_peer_gets_the_threads_that_suit_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    now, suits, asked = 0.0, {1: 1, 8: 2, 64: 4}, list[tuple[int, int]]()

    def generator(peer: QwenTts, texts: list[str], frames: int) -> Callable[[], Any]:
        def generate() -> tuple[list[bytes], int]:
            nonlocal now
            asked.append((len(texts), torch.get_num_threads()))
            now += 1.0 if torch.get_num_threads() == suits[len(texts)] else 2.0
            return [b""] * len(texts), 24_000

        return generate

    def loaded(peer: QwenTts) -> None:
        peer._torch, peer._seeds, peer._most = torch, iter(range(9)), 4

    monkeypatch.setattr(QwenTts, "_generator", generator)
    monkeypatch.setattr(QwenTts, "__init__", loaded)
    monkeypatch.setattr(threads.time, "perf_counter", lambda: now)
    peer: Any = QwenTts()  # type: ignore[call-arg]
    works = {streams: peer.work(streams=streams, frames=100) for streams in suits}
    for streams, work in works.items():
        asked.clear()
        work()
        assert asked == [(streams, suits[streams])]
