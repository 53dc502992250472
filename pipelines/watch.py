"""An engine actor's ear for revocations: what is being spoken in a revoked voice ends, its prompts are
dropped.

This only makes withdrawal fast (DESIGN I5). That a withdrawn row never becomes a clip is the stamp stage's
promise, which asks the ledger itself; so a feed that cannot be read for a while is a warning here and not the
end.
"""

from __future__ import annotations

import logging
import threading
from typing import Final

from consent_service.errors import ConsentError
from consent_service.service import ConsentService
from speech.engine import SpeechEngine

log = logging.getLogger("vouch.narrate")

_EVERY_S: Final = 0.4


class RevocationWatch:
    """Polls the feed in a thread of its own. Starts with what is already revoked as known."""

    def __init__(self, service: ConsentService, engine: SpeechEngine, *, every_s: float = _EVERY_S) -> None:
        self._service = service
        self._engine = engine
        self._every_s = every_s
        self._stopped = threading.Event()
        self._cursor = 0
        while self._pull(act=False):
            pass
        self._thread = threading.Thread(target=self._run, name="revocation-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            try:
                self._pull(act=True)
            except ConsentError as exc:
                log.warning("the revocation feed cannot be read: %s", exc.code)

    def _pull(self, *, act: bool) -> int:
        events = self._service.revocations(self._cursor)
        for event in events:
            if act:
                self._engine.cancel_voice(event.voice_id, "consent_revoked")
            self._cursor = event.seq
        return len(events)
