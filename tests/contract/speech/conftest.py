"""The engines under contract: one of each kind for the whole run, as loading is the slow part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from speech.config import EngineConfig
from speech.engine import SpeechEngine
from speech.load import load_engine
from tests.assets import tiny_qwen

MAX_FRAMES = 20  # 1.6 s: random weights know no words, so the budget decides how long a test takes


@pytest.fixture(scope="session")
def tiny_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """base, custom_voice and voice_design."""
    return tiny_qwen.build(tmp_path_factory.mktemp("tiny-qwen"))


@pytest.fixture(scope="session")
def configs(request: pytest.FixtureRequest) -> Mapping[str, EngineConfig]:
    """By engine. The checkpoints are written when the first test asks for the engine that has some."""

    class Configs(dict[str, EngineConfig]):
        def __missing__(self, name: str) -> EngineConfig:
            values: dict[str, object] = {"name": name}
            if name == "qwen":
                checkpoints = request.getfixturevalue("tiny_checkpoints")
                values |= {kind: str(folder) for kind, folder in checkpoints.items()}
                values |= {"device": "cpu", "compile": "off", "max_frames": MAX_FRAMES, "on_runaway": "cut"}
            self[name] = EngineConfig.model_validate(values)
            return self[name]

    return Configs()


@pytest.fixture(scope="session")
def loaded(configs: Mapping[str, EngineConfig]) -> Iterator[dict[str, SpeechEngine]]:
    """Loaded on first use, closed at the end."""

    class Engines(dict[str, SpeechEngine]):
        def __missing__(self, name: str) -> SpeechEngine:
            self[name] = load_engine(configs[name])
            return self[name]

    engines = Engines()
    yield engines
    for engine in engines.values():
        engine.close()


@pytest.fixture(params=["embedded", pytest.param("qwen", marks=pytest.mark.slow)])
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def engine(engine_name: str, loaded: dict[str, SpeechEngine]) -> SpeechEngine:
    return loaded[engine_name]


@pytest.fixture
def config(engine_name: str, configs: Mapping[str, EngineConfig]) -> EngineConfig:
    return configs[engine_name]
