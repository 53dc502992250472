"""Sees to it that the leaf of a running process is renewed in time.

Nothing sleeps here. Whoever asks for the leaf, to sign under it, makes the keeper look at its age, which is a
comparison; when the next one is due, a thread is started that renews it and ends. The caller never waits for that and
never hears that it failed: until its last second the old leaf signs as well as a new one. A failure is logged, and
tried again later.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from consent_service.keys.lifetime import Lifetime
from foundation.errors import CodedError

log = logging.getLogger("vouch.consent")

FIRST_RETRY_S: Final = 60.0
# Years are left when the first try fails: once a day is often enough to try, and to say so in the log.
LAST_RETRY_S: Final = 86_400.0


class CertificateRenewer:
    """Of one open installation. `renew`: makes a new leaf, or finds that another process has; may raise anything.
    Thread-safe."""

    def __init__(self, renew: Callable[[], object], clock: Callable[[], float]) -> None:
        self._renew, self._clock = renew, clock
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._tried_at = float("-inf")
        self._failures = 0
        self._closed = False

    def look(self, life: Lifetime) -> None:
        """With every use of the leaf. Returns at once and raises nothing."""
        now = self._clock()
        if not life.is_due(now):
            return
        with self._lock:
            if self._closed or self._thread is not None or now < self._tried_at + self._pause_s(life, now):
                return
            thread = threading.Thread(target=self._run, args=(life,), name="leaf-renewal", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads; the next use asks again
                log.error("no thread could be started to renew the manifests' leaf")  # noqa: TRY400
                return
            self._thread = thread

    def wait(self, timeout_s: float) -> None:
        """Until a renewal that is under way has ended."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Begin no other, and let the one that is under way end."""
        with self._lock:
            self._closed = True
        self.wait(timeout_s)

    def _pause_s(self, life: Lifetime, now: float) -> float:
        """From the last try to the next."""
        longest = FIRST_RETRY_S if life.is_over(now) else LAST_RETRY_S  # by then nothing can be signed
        return min(FIRST_RETRY_S * 2.0 ** min(max(self._failures - 1, 0), 32), longest)

    def _run(self, life: Lifetime) -> None:
        failed = True
        try:
            self._renew()
            failed = False
        except Exception as exc:  # noqa: BLE001 - whatever it was, the old leaf still signs
            why = exc.message if isinstance(exc, CodedError) else type(exc).__name__
            log.error(  # noqa: TRY400 - a traceback may hold more than a log should
                "the leaf that manifests are signed under ends on %s and could not be renewed: %s",
                life.last_day,
                why,
            )
        finally:
            with self._lock:
                self._failures = self._failures + 1 if failed else 0
                self._tried_at, self._thread = self._clock(), None
