"""The online door in one process, on an event loop of its own, with faults that a test can put between its parts.

No mocks: the ledger, the engine, the stamper and the HTTP application are the real ones. What a test replaces is
the way from one to the other (`FaultInjector`), or the pace of an engine (`HeldEngine`).
"""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import httpx
import numpy as np
import soundfile
from fastapi import FastAPI

from consent_service.grants import Utterance
from consent_service.models import RecordedConsent, Voice
from consent_service.vault.sealing import load_node_secret
from serve_app.clips.service import ClipRequest, ClipService
from serve_app.clips.store import ClipStore
from serve_app.config import AppConfig
from serve_app.gate.protocol import Gate
from serve_app.handles import fail_closed, local
from serve_app.ingress.context import Context
from serve_app.ingress.http import build_http
from serve_app.metrics import PrometheusMetrics
from serve_app.voice.protocol import VoiceReplica
from serve_app.voice.watch import RevocationWatch
from serve_app.voice.worker import StartedSynthesis, VoiceWorker
from serve_app.wiring import in_process
from speech.engine import EngineInfo, Samples, SpeechEngine, SpeechRequest
from speech.load import load_engine
from speech.stream import QueuedStream
from speech.text import prepare
from synthesis.voice import Design, LedgerVoice, VoiceRef
from tests.assets.installation import Installation, Tenant
from tests.assets.voiced import voiced

T = TypeVar("T")

_NAMES = count(1)
PURPOSES = ("narration", "accessibility", "advertising")


# Enrolling happens in most tests; the real program's models are asked in tests of their own.
EXAMINER = Path(__file__).parents[2] / "assets" / "mark_examiner.py"


def recording(seconds: float = 4.0, *, level: float = 0.3, hertz: float = 180.0, rate: int = 16_000) -> bytes:
    """A WAV file that is taken for speech; no two of different pitch are alike."""
    return voiced(seconds, hertz=hertz, rate=rate, level=level)


class LoopThread:
    """An event loop that runs while tests wait for it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="door", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float = 60.0) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)


Meddle = Callable[..., Awaitable[Any]]


class FaultInjector:
    """Stands before a gate or a voice replica. `on[method]` is called in its place, with the real call first."""

    def __init__(self, inner: Any, **on: Meddle) -> None:
        assert all(hasattr(inner, method) for method in on)
        self.inner = inner
        self.on = on
        self.calls: list[str] = []

    def __getattr__(self, method: str) -> Any:
        if not hasattr(self.inner, method):
            raise AttributeError(method)
        return partial(self.call, method)

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        self.calls.append(method)

        async def real() -> Any:
            return await getattr(self.inner, method)(*args, **kwargs)

        return await (self.on[method](real) if method in self.on else real())


class StreamFaultInjector(FaultInjector):
    """The same before one that also answers piece by piece."""

    def stream(self, token: str, utterance: Utterance, seed: int) -> AsyncGenerator[StartedSynthesis | bytes]:
        self.calls.append("stream")
        pieces: AsyncGenerator[StartedSynthesis | bytes] = self.inner.stream(token, utterance, seed)
        return pieces


def raising(error: BaseException) -> Meddle:
    async def meddle(real: Callable[[], Awaitable[Any]]) -> Any:
        raise error

    return meddle


def after(error: BaseException) -> Meddle:
    """The call is made, and its answer is lost."""

    async def meddle(real: Callable[[], Awaitable[Any]]) -> Any:
        await real()
        raise error

    return meddle


def answering(value: Any) -> Meddle:
    async def meddle(real: Callable[[], Awaitable[Any]]) -> Any:
        return value

    return meddle


class Held:
    """A call that waits for the test: `arrived` when it came, and goes on after `release`. Made on the loop."""

    def __init__(self, *, before: bool = True) -> None:
        self.arrived = asyncio.Event()
        self._go = asyncio.Event()
        self._before = before

    def release(self) -> None:
        self._go.set()

    async def __call__(self, real: Callable[[], Awaitable[Any]]) -> Any:
        if self._before:
            self.arrived.set()
            await self._go.wait()
            return await real()
        answer = await real()
        self.arrived.set()
        await self._go.wait()
        return answer


class HeldEngine:
    """A `SpeechEngine` that speaks when the test says so: each `start` gives a stream for the test to feed."""

    def __init__(self, info: EngineInfo) -> None:
        self.info = info
        self.healthy = True
        self.streams: list[QueuedStream] = []
        self.requests: list[SpeechRequest] = []
        self.started = threading.Semaphore(0)

    def warm_up(self) -> None:
        return

    def start(self, request: SpeechRequest) -> QueuedStream:
        stream = QueuedStream(request.request_id, request.voice_id)
        self.streams.append(stream)
        self.requests.append(request)
        self.started.release()
        return stream

    def cancel_voice(self, voice_id: str, code: str) -> int:
        mine = [stream for stream in self.streams if stream.voice_id == voice_id and stream.live]
        for stream in mine:
            stream.cancel(code)
        return len(mine)

    def close(self) -> None:
        return

    async def next_start(self) -> QueuedStream:
        """The stream of the next synthesis that begins."""
        assert await asyncio.to_thread(self.started.acquire, True, 20), "no synthesis began"
        return self.streams[-1]


class Lent:
    """An engine that outlives the workers it is lent to."""

    def __init__(self, engine: SpeechEngine) -> None:
        self.info = engine.info
        self.warm_up, self.start, self.cancel_voice = engine.warm_up, engine.start, engine.cancel_voice
        self.healthy = True

    def close(self) -> None:
        return


@dataclass
class Parts:
    """A door that a test put together itself."""

    clips: ClipService
    worker: VoiceWorker
    engine: Any
    gate: FaultInjector  # before the gate that the door calls
    voices_gate: FaultInjector  # before the gate that the worker calls
    voice: StreamFaultInjector  # before the worker
    watch: RevocationWatch
    store: ClipStore
    metrics: PrometheusMetrics
    http: FastAPI

    async def shared_by(self, callers: int) -> None:
        """Until so many callers wait for one and the same synthesis."""
        while not any(flight.waiting == callers for flight in self.clips._flights._running.values()):
            await asyncio.sleep(0.001)


class Studio(Tenant):
    """A tenant whose keys may claim everything that tests claim, and what it says through the door."""

    usual_claims = MappingProxyType(
        {"purposes": PURPOSES, "voices": ("*",), "territories": ("*",), "channels": ("*",)}
    )

    def __init__(self, house: House, name: str) -> None:
        self.house = house
        super().__init__(house.installation, name)
        self.voice = self.enrol()
        self.consent = self.record()

    def record(self, voice: Voice | None = None, *, bind: bool = True, **changes: Any) -> RecordedConsent:
        recorded = super().record(voice, **changes)
        if bind:
            self.service.tenants.bind_consent(self.admin, self.narrator.key_id, recorded.consent.consent_id)
        return recorded

    def say(
        self,
        text: str = "Good morning.",
        *,
        part: str = "narrator",
        voice: VoiceRef | None = None,
        **more: Any,
    ) -> ClipRequest:
        voice = voice or LedgerVoice(self.voice.voice_id)
        instruct = "a calm voice" if isinstance(voice, Design) else ""
        given: dict[str, Any] = {"purpose": "narration", "voice": voice, "api_key": self.keys[part]}
        given |= {"utterance": prepare(text, "en", instruct), **more}
        return ClipRequest(**given)

    def endings(self) -> list[tuple[str, str | None]]:
        """(outcome, reason) of each closing record; every opening must have one."""
        log = self.log()
        opened = {entry["grant"] for entry in log if entry["kind"] in ("speech.redeemed", "speech.reused")}
        closed = {entry["grant"] for entry in log if entry["kind"] == "speech.closed"}
        assert opened == closed, "each opened entry is closed, and nothing else is"
        return [(e["outcome"], e.get("reason")) for e in log if e["kind"] == "speech.closed"]

    def stored(self) -> list[Path]:
        """Every file of this tenant in the clip store."""
        return [path for path in self.house.clip_folder.glob(f"{self.name}/**/*") if path.is_file()]


class House:
    """One door for a whole test run; every test brings a tenant of its own."""

    def __init__(self, folder: Path) -> None:
        self.thread = LoopThread()
        self.run = self.thread.run
        self.config = AppConfig.local(
            folder / "data", ingress={"max_upload_bytes": 2_000_000, "anonymous_checks": 10_000},
            consent={
                "data_dir": folder / "data",
                "examination": {"speaker": "none", "marks": [sys.executable, str(EXAMINER)]},
            },
        )  # fmt: skip
        self.clip_folder = Path(self.config.clips)
        self.installation = Installation.create(self.config.consent, clock=time.time)
        self.service = self.installation.service
        self._stack = AsyncExitStack()
        self.context: Context = self.run(
            self._stack.enter_async_context(in_process(self.config, self.service))
        )
        self.http = build_http(self.context, self.config.ingress, version="test")
        self.clips = self.context.clips
        self.stamper = self.clips._stamper
        self.gate: Gate = self.context.gate
        self._engine = load_engine(self.config.engine)
        self.engine = Lent(self._engine)
        self.speech = self._some_speech()

    def close(self) -> None:
        self._engine.close()
        self.run(self._stack.aclose())
        self.thread.stop()
        self.service.close()

    def studio(self) -> Studio:
        return Studio(self, f"tenant-{next(_NAMES)}")

    def request(self, method: str, path: str, *, key: str | None = None, **more: Any) -> httpx.Response:
        return self.run(self.asend(method, path, key=key, **more))

    def post(self, path: str, body: Any, *, key: str | None = None) -> httpx.Response:
        return self.request("POST", path, key=key, json=body)

    async def asend(
        self, method: str, path: str, *, key: str | None = None, app: FastAPI | None = None, **more: Any
    ) -> httpx.Response:
        headers = {**more.pop("headers", {}), **({"Authorization": f"Bearer {key}"} if key else {})}
        transport = httpx.ASGITransport(app or self.http, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            return await client.request(method, path, headers=headers, **more)

    @property
    def node_secret(self) -> bytes:
        return load_node_secret(self.config.consent.data_dir)

    async def parts(
        self,
        engine: Any,
        *,
        gate: dict[str, Meddle] | None = None,
        seen_by_voice: dict[str, Meddle] | None = None,
        voice: dict[str, Meddle] | None = None,
        stamper: Any = None,
        stale_after_s: float = 0.7,
        node_secret: bytes | None = None,
    ) -> Parts:
        """A door of a test's own around `engine`; close it with `worker.close()`."""
        between = FaultInjector(self.gate, **(gate or {}))
        for_voice = FaultInjector(self.gate, **(seen_by_voice or {}))
        watch = RevocationWatch(
            fail_closed(Gate, for_voice),
            wait_s=0.05,
            stale_after_s=stale_after_s,
            metrics=PrometheusMetrics(),
        )
        worker = VoiceWorker(
            engine, for_voice, replica_id=f"replica-{next(_NAMES)}",
            node_secret=node_secret or self.node_secret, metrics=PrometheusMetrics(), watch=watch,
        )  # fmt: skip
        await worker.start()
        voices = StreamFaultInjector(local(VoiceReplica, worker), **(voice or {}))
        store, metrics = ClipStore(self.config.clips), PrometheusMetrics()
        clips = ClipService(
            fail_closed(Gate, between), voices, stamper or self.stamper, store, metrics, provider="test", version="test"
        )  # fmt: skip
        context = Context(
            clips, fail_closed(Gate, between), self.context.consents, self.context.verifier,
            self.context.auditor, self.context.trust, self.config.ingress,
        )  # fmt: skip
        http = build_http(context, self.config.ingress, version="test")
        return Parts(
            clips, worker, engine, between, for_voice, voices, watch, store, metrics, http
        )  # fmt: skip

    def held_engine(self) -> HeldEngine:
        return HeldEngine(self.engine.info)

    def _some_speech(self) -> Samples:
        """What an engine really says, for engines that a test feeds."""
        studio = self.studio()
        answer = self.post(
            "/v1/custom-voice", {"text": "Some speech.", "language": "en", "speaker": "Vivian", "purpose": "narration"},
            key=studio.keys["narrator"],
        )  # fmt: skip
        samples, _ = soundfile.read(io.BytesIO(answer.content), dtype="float32")
        return np.ascontiguousarray(samples)


def code_of(answer: httpx.Response) -> str:
    """The stable code, from the one error shape."""
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "type", "param", "request_id"}, error
    assert error["request_id"] == answer.headers["x-request-id"]
    return str(error["code"])
