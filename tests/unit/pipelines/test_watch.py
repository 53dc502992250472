"""A withdrawal reaches what an engine actor is speaking, and the prompts that it holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Queue

from consent_service.models import Revocation
from pipelines.watch import RevocationListener


class Stream:
    """What a follower of the feed iterates over."""

    def __init__(self) -> None:
        self.coming: Queue[Revocation | None] = Queue()

    def __iter__(self) -> Iterator[Revocation]:
        return iter(self.coming.get, None)

    def close(self) -> None:
        self.coming.put(None)


class Feed:
    def __init__(self, *past: Revocation) -> None:
        self.past = list(past)
        self.stream = Stream()
        self.followed_after = -1

    @property
    def gate(self) -> Feed:
        return self

    def revocations(self, after: int) -> list[Revocation]:
        return [event for event in self.past if event.seq > after][:1]  # a page at a time

    def watch_revocations(self, after: int) -> Stream:
        self.followed_after = after
        return self.stream


class Engine:
    def __init__(self) -> None:
        self.cancelled: list[tuple[str, str]] = []
        self.heard = threading.Semaphore(0)

    def cancel_voice(self, voice_id: str, code: str) -> int:
        self.cancelled.append((voice_id, code))
        self.heard.release()
        return 1


def revocation(seq: int, voice_id: str) -> Revocation:
    return Revocation(seq, "t", voice_id, 1, None, "asked", 0.0)


def test_a_new_revocation_ends_its_voice_once_and_old_ones_are_history() -> None:
    feed, engine = Feed(revocation(1, "old"), revocation(2, "older")), Engine()
    watch = RevocationListener(feed, engine)  # type: ignore[arg-type]
    try:
        for number, voice_id in ((3, "anna"), (4, "boris")):
            feed.stream.coming.put(revocation(number, voice_id))
            assert engine.heard.acquire(timeout=5)
    finally:
        watch.close()
    assert feed.followed_after == 2
    assert engine.cancelled == [("anna", "consent_revoked"), ("boris", "consent_revoked")]
