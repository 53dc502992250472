"""An engine actor's ear for revocations: what is being spoken in a revoked voice ends, its prompts are
dropped.

This only makes withdrawal fast (DESIGN I5). That a withdrawn row never becomes a clip is the stamp stage's
promise, which asks the ledger itself; so a feed that cannot be read for a while is waited for here, and not the
end.
"""

from __future__ import annotations

import threading

from consent_service.service import ConsentService
from speech.engine import SpeechEngine


class RevocationListener:
    """Follows the feed in a thread of its own. Starts with what is already revoked as known."""

    def __init__(self, service: ConsentService, engine: SpeechEngine) -> None:
        self._engine = engine
        cursor = 0
        while past := service.gate.revocations(cursor):
            cursor = past[-1].seq
        self._stream = service.gate.watch_revocations(cursor)
        self._thread = threading.Thread(target=self._run, name="revocation-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stream.close()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        for event in self._stream:
            self._engine.cancel_voice(event.voice_id, "consent_revoked")
