"""Configuration and loading: an engine is chosen, never fallen back to; the seam imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from speech.config import EngineConfig
from speech.errors import EngineUnavailable
from speech.load import load_engine

HEAVY = ("torch", "transformers", "qwen_tts", "librosa", "ray")


@pytest.mark.parametrize(
    "module", ["speech.engine", "speech.text", "speech.config", "speech.load", "speech.embedded.engine"]
)
def test_the_seam_imports_nothing_heavy(module: str) -> None:
    program = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_an_engine_must_be_named() -> None:
    with pytest.raises(ValidationError):
        EngineConfig.model_validate({})
    with pytest.raises(ValidationError):
        EngineConfig.model_validate({"name": "auto"})


def test_qwen_without_a_checkpoint_is_no_configuration() -> None:
    with pytest.raises(ValidationError, match="at least one checkpoint"):
        EngineConfig.model_validate({"name": "qwen"})


def test_embedded_with_a_checkpoint_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="base"):
        EngineConfig.model_validate({"name": "embedded", "base": "/models/base"})


def test_only_the_embedded_engine_is_slowed_down() -> None:
    assert EngineConfig(name="embedded", pace=4.0).pace == 4.0
    with pytest.raises(ValidationError, match="pace"):
        EngineConfig.model_validate({"name": "qwen", "base": "/models/base", "pace": 4.0})


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(ValidationError):
        EngineConfig.model_validate({"name": "embedded", "devise": "cpu"})


def test_a_plain_string_is_a_checkpoint() -> None:
    config = EngineConfig.model_validate({"name": "qwen", "base": "Qwen/Qwen3-TTS-12Hz-1.7B-Base"})
    assert config.base is not None
    assert config.base.source == "Qwen/Qwen3-TTS-12Hz-1.7B-Base"


def test_qwen_that_cannot_be_had_is_an_error_and_never_another_engine(tmp_path: Path) -> None:
    for source, says in [
        (tmp_path / "nowhere", "no checkpoint directory"),
        (tmp_path, "config.json"),
        ("nobody/no-such-model", "local cache"),
    ]:
        config = EngineConfig.model_validate({"name": "qwen", "base": str(source), "offline": True})
        with pytest.raises(EngineUnavailable, match=says):
            load_engine(config)


def test_a_checkpoint_of_pickles_is_refused(tmp_path: Path) -> None:
    from speech.qwen.checkpoint import _NEEDED

    for name in (*_NEEDED, "pytorch_model.bin", "speech_tokenizer/pytorch_model.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    config = EngineConfig.model_validate({"name": "qwen", "base": str(tmp_path)})
    with pytest.raises(EngineUnavailable, match=r"\*\.safetensors"):
        load_engine(config)


def test_without_the_extra_the_embedded_engine_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from speech.embedded import engine

    monkeypatch.setattr(engine, "find_spec", lambda name: None if name == "espeakng_loader" else object())
    with pytest.raises(EngineUnavailable, match=r"espeakng_loader.*pip install 'vouch\[embedded\]'"):
        load_engine(EngineConfig(name="embedded"))
