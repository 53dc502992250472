"""A voice replica as the ingress sees it. `VoiceWorker` implements it. All raise RequestRefused."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from serve_app.voice.worker import Begun, Order, Spoken
from speech.engine import EngineInfo


class VoiceReplica(Protocol):
    """Speaks under a grant."""

    async def info(self) -> EngineInfo:
        """What it runs."""
        ...

    async def synthesize(self, order: Order) -> Spoken:
        """Redeem the grant and speak: a whole clip with the keyed mark, not yet stamped."""
        ...

    def stream(self, order: Order) -> AsyncGenerator[Begun | bytes]:
        """The same, heard while it is made: what was begun, then marked sound, 16 bits at `SAMPLE_RATE`."""
        ...
