"""Thousands of random requests leave the engine as it was: each ended once, memory flat, no voice in another's clip."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from speech.config import EngineConfig
from speech.engine import SpeechEngine
from speech.load import load_engine
from tests.assets import tiny_qwen
from tests.integration.speech.storm import Weather

TOLERANCE = 1e-4  # of the waveform; another code would be heard as another sound altogether
GROWTH_MIB = 48.0

_log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpeechEngine]:
    checkpoints = tiny_qwen.build(tmp_path_factory.mktemp("tiny-qwen"))
    config = EngineConfig.model_validate(
        {
            "name": "qwen",
            "device": "cpu",
            "max_frames": 16,
            "on_runaway": "cut",
            "slots": 6,  # fewer than ask at a time, so that some wait
            "compile": "off",
            "prompt_cache_size": 4,  # fewer than voices, so that prompts come and go
            **{kind: str(folder) for kind, folder in checkpoints.items()},
        }
    )
    engine = load_engine(config)
    engine.warm_up()
    yield engine
    engine.close()


@pytest.mark.parametrize(
    "requests",
    [200, pytest.param(2000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])],
)
def test_a_storm_passes_without_a_trace(engine: SpeechEngine, requests: int) -> None:
    Weather(engine, seed=0, most_at_once=1, keep_every=1).blow(3)  # threads that start when first needed
    threads = threading.active_count()
    resident: list[float] = []

    def measure(asked: int) -> None:
        if asked % (requests // 20) == 0:
            gc.collect()
            resident.append(psutil.Process().memory_info().rss / 2**20)

    weather = Weather(engine, seed=requests, most_at_once=12, keep_every=max(5, requests // 40))
    storm = weather.blow(requests, measure)

    _log.info("%s; MiB: %.0f … %.0f", dict(storm.ended), resident[0], resident[-1])
    assert not storm.wrong
    assert sum(storm.ended.values()) == requests
    assert set(storm.ended) == {"whole", "cancelled", "failed", "refused"}, "all of them, and nothing else"
    settled = resident[len(resident) // 4 :]
    assert max(settled) - settled[0] < GROWTH_MIB
    assert threading.active_count() <= threads
    for request, heard in storm.whole:
        alone = np.concatenate(list(engine.start(request)))
        assert alone.shape == heard.shape, f"{request.request_id} is another clip alone"
        assert np.abs(alone - heard).max() < TOLERANCE, f"{request.request_id} holds something of another's"
