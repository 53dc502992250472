"""`SpeechEngine` over Qwen3-TTS checkpoints: up to three, one for each mode, each with slots of its own.

What a request is allowed to be is settled here, before it queues; what it becomes is settled by the stations. The
request alone decides the samples: seed, text, voice (DESIGN I8).
"""

from __future__ import annotations

import hashlib
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from speech.config import Checkpoint, EngineConfig
from speech.engine import (
    CloneRequest,
    EngineInfo,
    Mode,
    SpeechRequest,
    SpeechStream,
)
from speech.errors import EngineBusy, EngineUnavailable, TextError
from speech.languages import LANGUAGES
from speech.qwen.checkpoint import Kind, LocalCheckpoint, find_checkpoint
from speech.requests import check_request, mode_of
from speech.stream import QueuedStream

if TYPE_CHECKING:
    from speech.qwen.station import Station, StationStatus

_KINDS: Final[dict[Mode, Kind]] = {"clone": "base", "custom": "custom_voice", "design": "voice_design"}


class QwenEngine:
    """Loads a checkpoint when it is first needed, all of them in `warm_up`."""

    def __init__(self, config: EngineConfig) -> None:
        """Finds, checks and digests the checkpoints. Raises EngineUnavailable with what is missing."""
        missing = [package for package in ("torch", "qwen_tts", "transformers") if find_spec(package) is None]
        if missing:
            raise EngineUnavailable(f"engine qwen needs {', '.join(missing)}; reinstall the package")
        from speech.qwen.model import choose_placement
        from speech.qwen.parts import VoicePrompts, erase
        from speech.qwen.worker import Worker

        self._config = config
        self._checkpoints: dict[Mode, LocalCheckpoint] = {
            mode: find_checkpoint(wanted, kind, offline=config.offline)
            for mode, kind in _KINDS.items()
            if (wanted := getattr(config, kind)) is not None
        }
        self._placement = choose_placement(config.device, config.dtype, config.memory_fraction)
        self._notes: tuple[str, ...] = ()
        self._info = _describe(self._checkpoints, self._notes)
        self._stations: dict[Mode, Station] = {}
        self._prompts: VoicePrompts = VoicePrompts(config.prompt_cache_size, erase)
        self._lock = threading.Lock()
        self._streams: WeakSet[QueuedStream] = WeakSet()  # one that nobody holds any more counts no more
        self._worker = Worker(lambda: [station.batcher for station in self._stations.values()])

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def healthy(self) -> bool:
        # A copy, as the device's thread adds stations when they are first needed.
        stations = list(self._stations.values())
        return self._worker.alive and not any(station.batcher.lost for station in stations)

    def status(self) -> dict[Mode, StationStatus]:
        """What each loaded checkpoint takes, holds and spends, for metrics."""
        return self._worker.call(lambda: {mode: one.status() for mode, one in self._stations.items()})

    def warm_up(self) -> None:
        def load_and_compile() -> None:
            for mode in self._checkpoints:
                self._station(mode).warm_up()

        self._worker.call(load_and_compile)

    def start(self, request: SpeechRequest) -> SpeechStream:
        check_request(request, self._info, max_characters=self._config.max_characters)
        self._refuse_control_tokens(request)
        stream = QueuedStream(request.request_id, request.voice_id)
        with self._lock:
            if sum(other.live for other in self._streams) >= self._config.max_queued:
                raise EngineBusy("too many requests are running or waiting; ask again later")
            self._streams.add(stream)
        self._worker.post(lambda: self._begin(request, stream))
        return stream

    def cancel_voice(self, voice_id: str, code: str) -> int:
        with self._lock:
            hit = [stream for stream in self._streams if stream.voice_id == voice_id and stream.live]
        for stream in hit:
            stream.cancel(code)
        self._prompts.drop_voice(voice_id)
        return len(hit)

    def close(self) -> None:
        self._cancel_all()
        self._worker.close()
        self._cancel_all()  # who came in between
        self._prompts.clear()
        self._stations.clear()

    # in any thread ------------------------------------------------------------------------------------------------
    def _cancel_all(self) -> None:
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.cancel("engine_closed")

    def _refuse_control_tokens(self, request: SpeechRequest) -> None:
        from speech.qwen.parts import transcript_of

        texts = [request.utterance.text, request.utterance.instruct]
        if isinstance(request, CloneRequest):
            texts.append(transcript_of(request.reference))
        if any(token in text for text in texts for token in self._control_tokens):
            raise TextError(
                "the text, instruction or transcript holds a control token of the speech model; remove it",
                code="text_control_characters",
            )

    @property
    def _control_tokens(self) -> frozenset[str]:
        return frozenset[str]().union(*(one.control_tokens for one in self._checkpoints.values()))

    # in the device's thread ---------------------------------------------------------------------------------------
    def _begin(self, request: SpeechRequest, stream: QueuedStream) -> None:
        if stream.cancelled:
            return
        try:
            self._station(mode_of(request)).begin(request, stream)
        except Exception as error:  # noqa: BLE001 - one request's failure must not end the engine
            from speech.qwen.failures import understood

            stream.fail(understood(error))

    def _station(self, mode: Mode) -> Station:
        station = self._stations.get(mode)
        if station is None:
            station = self._stations[mode] = self._load(mode)
        return station

    def _load(self, mode: Mode) -> Station:
        """Raises EngineUnavailable; out of memory, takes the smaller checkpoint where the configuration allows."""
        from speech.qwen.failures import out_of_memory
        from speech.qwen.station import Station

        def load(checkpoint: LocalCheckpoint) -> Station:
            share = 1 / len(self._checkpoints)
            return Station(checkpoint, self._config, self._placement, share, self._prompts, self._worker)

        wanted, kind = self._checkpoints[mode], _KINDS[mode]
        try:
            return load(wanted)
        except Exception as error:
            if not out_of_memory(error):
                raise
            smaller: Checkpoint | None = getattr(self._config.fallback, kind, None)
            if smaller is None:
                raise EngineUnavailable(
                    f"the {kind} checkpoint does not fit into memory; raise memory_fraction, or allow a "
                    f"smaller one with fallback: {{{kind}: …}}"
                ) from error
        taken = find_checkpoint(smaller, kind, offline=self._config.offline)
        station = load(taken)
        self._checkpoints[mode] = taken
        self._notes += (f"{kind}: {taken.model} instead of {wanted.model}, which does not fit into memory",)
        self._info = _describe(self._checkpoints, self._notes)
        return station


def _describe(checkpoints: dict[Mode, LocalCheckpoint], notes: tuple[str, ...]) -> EngineInfo:
    every = list(checkpoints.values())
    digest = hashlib.sha256("\n".join(f"{one.kind} {one.digest}" for one in every).encode()).hexdigest()
    return EngineInfo(
        name="qwen",
        model=", ".join(one.model for one in every),
        model_digest=every[0].digest if len(every) == 1 else digest,
        is_clone="clone" in checkpoints,
        modes=frozenset(checkpoints),
        languages=tuple(code for code in LANGUAGES if all(code in one.languages for one in every)),
        speakers=checkpoints["custom"].speakers if "custom" in checkpoints else (),
        notes=notes,
    )
