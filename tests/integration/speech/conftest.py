"""Tiny checkpoints, built once: random weights, but real code on both sides."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.assets import tiny_qwen
from tests.integration.speech.talk import load


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """base, custom_voice and voice_design."""
    return tiny_qwen.build(tmp_path_factory.mktemp("tiny-qwen"))


@pytest.fixture(scope="session")
def models(checkpoints: dict[str, Path]) -> dict[str, object]:
    """Of each kind one, its frame measuring leads."""
    return {kind: load(folder, kind) for kind, folder in checkpoints.items()}
