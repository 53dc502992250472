"""A voice replica as the ingress sees it. `VoiceWorker` implements it. All raise RequestRefused."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from consent_service.grants import Utterance
from serve_app.voice.worker import StartedSynthesis, UnstampedClip
from speech.engine import EngineInfo


class VoiceReplica(Protocol):
    """Synthesizes under a grant, which `token` is."""

    async def info(self) -> EngineInfo:
        """What it runs."""
        ...

    async def synthesize(self, token: str, utterance: Utterance, seed: int) -> UnstampedClip:
        """Use the grant up and synthesize: a whole clip with the keyed mark, not yet stamped."""
        ...

    def stream(self, token: str, utterance: Utterance, seed: int) -> AsyncGenerator[StartedSynthesis | bytes]:
        """The same, chunk by chunk: what was started, then marked sound, 16 bits at `SAMPLE_RATE`."""
        ...
