"""A withdrawal reaches what an engine actor is speaking, and the prompts that it holds."""

from __future__ import annotations

import threading

from consent_service.errors import LedgerUnavailable
from consent_service.models import Revocation
from pipelines.watch import RevocationWatch


class Feed:
    def __init__(self, *events: Revocation) -> None:
        self.events = list(events)
        self.faults = 0

    def revocations(self, after: int) -> list[Revocation]:
        if self.faults:
            self.faults -= 1
            raise LedgerUnavailable("away")
        return [event for event in self.events if event.seq > after]


class Engine:
    def __init__(self) -> None:
        self.cancelled: list[tuple[str, str]] = []
        self.heard = threading.Event()

    def cancel_voice(self, voice_id: str, code: str) -> int:
        self.cancelled.append((voice_id, code))
        self.heard.set()
        return 1


def revocation(seq: int, voice_id: str) -> Revocation:
    return Revocation(seq, "t", voice_id, 1, None, "asked", 0.0)


def test_a_new_revocation_ends_its_voice_once_and_old_ones_are_history() -> None:
    feed, engine = Feed(revocation(1, "old")), Engine()
    watch = RevocationWatch(feed, engine, every_s=0.01)  # type: ignore[arg-type]
    try:
        feed.events.append(revocation(2, "anna"))
        assert engine.heard.wait(5)
        feed.faults = 2  # an outage is waited out
        engine.heard.clear()
        feed.events.append(revocation(3, "boris"))
        assert engine.heard.wait(5)
    finally:
        watch.close()
    assert engine.cancelled == [("anna", "consent_revoked"), ("boris", "consent_revoked")]
