"""A storm of requests against one engine: random modes, voices and texts, listeners who stay, leave or hang up.

Every random choice comes from one seed. Each request is watched until it ends; what ended, and how, is counted,
and some of those that were heard to the end are kept for a comparison with the same request alone.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from speech.engine import (
    SAMPLE_RATE,
    CloneRequest,
    CustomVoiceRequest,
    DesignRequest,
    Reference,
    Samples,
    SpeechEngine,
    SpeechRequest,
    SpeechStream,
)
from speech.errors import SpeechError, SynthesisCancelled, SynthesisFailed, TextError
from speech.text import prepare
from tests.assets.grants import granted
from tests.assets.recordings import hum

VOICES = tuple(f"voice-{number}" for number in range(6))
REVOKED = "consent_revoked"
HUNG_UP = "client_disconnected"
TEXTS = (
    "Yes.",
    "…",
    "Good morning.",
    "[pause 200ms] Now.",
    "The tide came in slowly, and nobody on the beach noticed.",
    "One, two. Three, four! Five, six?",
)


@dataclass
class Storm:
    """What happened. ended: outcome → requests. samples: kept of some that were heard whole."""

    ended: Counter[str] = field(default_factory=Counter)
    whole: list[tuple[SpeechRequest, Samples]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Weather:
    """Makes a storm. keep_every: of the requests heard whole, how many apart those are that are kept."""

    def __init__(self, engine: SpeechEngine, *, seed: int, most_at_once: int, keep_every: int) -> None:
        self._engine = engine
        self._chance = random.Random(seed)
        self._room = threading.Semaphore(most_at_once)
        self._listeners = ThreadPoolExecutor(most_at_once, thread_name_prefix="listener")
        self._keep_every = keep_every
        self._lock = threading.Lock()
        self._epochs = dict.fromkeys(VOICES, 0)
        self._references = {
            voice: Reference(hum(100 + 25 * number, seconds=1.0), SAMPLE_RATE)
            for number, voice in enumerate(VOICES)
        }
        self.storm = Storm()

    def blow(self, requests: int, between: Callable[[int], None] = lambda _asked: None) -> Storm:
        """Ask `requests` times and wait until all have ended. between: called after each was asked."""
        futures: list[Future[None]] = []
        for number in range(requests):
            self._room.acquire()  # joins follow ends, so that slots are reused all the time
            try:
                request, poisoned = self._request(number)
            except TextError:  # nothing to say
                self._room.release()
                with self._lock:
                    self.storm.ended["refused"] += 1
            else:
                futures.append(self._listeners.submit(self._listen, request, poisoned, self._chance.random()))
            if self._chance.random() < 0.02:
                self._revoke(self._chance.choice(VOICES))
            between(number)
        for future in futures:
            future.result()
        self._listeners.shutdown()
        return self.storm

    def _request(self, number: int) -> tuple[SpeechRequest, bool]:
        chance = self._chance
        text, seed = chance.choice(TEXTS), chance.randrange(1000)
        mode = chance.choice(("clone", "clone", "custom", "design"))
        if mode == "custom":
            speaker = chance.choice(self._engine.info.speakers)
            return CustomVoiceRequest(f"r{number}", prepare(text, "en"), speaker, seed), False
        if mode == "design":
            return DesignRequest(f"r{number}", prepare(text, "en", "A low voice."), seed), False
        voice = chance.choice(VOICES)
        given = replace(self._references[voice], transcript=chance.choice(("", "What it says.")))
        poisoned = chance.random() < 0.03
        if poisoned:  # not numbers, as a broken recording or a broken kernel would give them
            voice, given = f"{voice}-broken", Reference(np.full(SAMPLE_RATE, np.nan, np.float32), SAMPLE_RATE)
        said = prepare(text, "en")
        grant = granted(said, voice_id=voice, voice_epoch=self._epochs.get(voice, 0))
        return CloneRequest(grant, said, given, seed), poisoned

    def _revoke(self, voice: str) -> None:
        self._engine.cancel_voice(voice, REVOKED)
        self._epochs[voice] += 1

    def _listen(self, request: SpeechRequest, poisoned: bool, patience: float) -> None:
        try:
            outcome, heard = _hear(self._engine, request, patience)
            with self._lock:
                storm = self.storm
                storm.ended[outcome] += 1
                if poisoned and outcome not in ("failed", "cancelled"):
                    storm.wrong.append(f"{request.request_id}: a reference without numbers was {outcome}")
                if outcome == "whole" and not poisoned and storm.ended["whole"] % self._keep_every == 0:
                    storm.whole.append((request, np.concatenate(heard)))
        finally:
            self._room.release()


def _hear(engine: SpeechEngine, request: SpeechRequest, patience: float) -> tuple[str, list[Samples]]:
    """How it ended, and what was heard. A stream that goes on after its end raises AssertionError."""
    heard: list[Samples] = []
    hang_up_after = int(patience * 10) if patience < 0.2 else None
    stream: SpeechStream = engine.start(request)
    chunks = iter(stream)
    try:
        while True:
            if hang_up_after is not None and len(heard) >= hang_up_after:
                stream.cancel(HUNG_UP)
            heard.append(next(chunks))
    except StopIteration:
        outcome = "whole"
    except SynthesisCancelled as error:
        outcome = "cancelled" if error.code in (REVOKED, HUNG_UP) else f"cancelled as {error.code}"
    except SynthesisFailed:
        outcome = "failed"
    _ended_once(stream, outcome)
    return outcome, heard


def _ended_once(stream: SpeechStream, outcome: str) -> None:
    try:
        late = next(iter(stream))
    except StopIteration:
        assert outcome == "whole"
    except SpeechError:
        assert outcome != "whole"
    else:
        raise AssertionError(f"{late.size} samples after the end")
