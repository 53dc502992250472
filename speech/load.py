"""From configuration to an engine.

Imports only the engine that was asked for, and only then. There is no fallback: a profile that asks for
Qwen3-TTS and cannot have it gets EngineUnavailable, never another voice (DESIGN, engines).
"""

from __future__ import annotations

from typing import assert_never

from speech.config import EngineConfig
from speech.engine import SpeechEngine


def load_engine(config: EngineConfig) -> SpeechEngine:
    """The configured engine, not yet warm. Raises EngineUnavailable with what is missing."""
    match config.name:
        case "embedded":
            from speech.embedded.engine import EmbeddedEngine

            return EmbeddedEngine(config)
        case "qwen":
            from speech.qwen.engine import QwenEngine

            return QwenEngine(config)
        case _:
            assert_never(config.name)
