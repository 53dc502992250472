"""`SpeechEngine` over Qwen3-TTS checkpoints: up to three, one for each mode.

First form: one request at a time in a thread of its own, the finished utterance cut into chunks. A cancelled
request is left at its next talker step. The request alone decides the samples: seed, text, voice (DESIGN I8).
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from typing import Final

import numpy as np

from speech.config import EngineConfig
from speech.dispatch import Dispatcher
from speech.engine import (
    SAMPLE_RATE,
    CloneRequest,
    CustomVoiceRequest,
    DesignRequest,
    EngineInfo,
    Mode,
    Reference,
    Samples,
    SpeechRequest,
    SpeechStream,
)
from speech.errors import EngineUnavailable, TextError
from speech.languages import LANGUAGES
from speech.qwen.budget import frame_budget
from speech.qwen.checkpoint import Kind, LocalCheckpoint, find_checkpoint
from speech.qwen.model import Placement, Prompt, QwenModel, Say, choose_placement, erase_prompt
from speech.qwen.prompts import PromptCache, PromptKey
from speech.requests import check_request, mode_of
from speech.stream import QueuedStream
from speech.text import MAX_CHARACTERS, canonical

_KINDS: Final[dict[Mode, Kind]] = {"clone": "base", "custom": "custom_voice", "design": "voice_design"}
_CHUNK: Final = SAMPLE_RATE // 2


class QwenEngine:
    """Loads a checkpoint when it is first needed, all of them in `warm_up`."""

    def __init__(self, config: EngineConfig) -> None:
        """Finds, checks and digests the checkpoints. Raises EngineUnavailable with what is missing."""
        missing = [package for package in ("torch", "qwen_tts", "transformers") if find_spec(package) is None]
        if missing:
            raise EngineUnavailable(f"engine qwen needs {', '.join(missing)}; reinstall the package")
        self._config = config
        self._checkpoints: dict[Mode, LocalCheckpoint] = {
            mode: find_checkpoint(wanted, kind, offline=config.offline)
            for mode, kind in _KINDS.items()
            if (wanted := getattr(config, kind)) is not None
        }
        self._placement: Placement = choose_placement(config.device, config.dtype, config.memory_fraction)
        self._info = _describe(self._checkpoints)
        self._control_tokens = frozenset[str]().union(
            *(checkpoint.control_tokens for checkpoint in self._checkpoints.values())
        )
        self._models: dict[Mode, QwenModel] = {}
        self._prompts: PromptCache[Prompt] = PromptCache(config.prompt_cache_size, erase_prompt)
        self._dispatcher = Dispatcher("speech-qwen", self._speak)

    @property
    def info(self) -> EngineInfo:
        return self._info

    def warm_up(self) -> None:
        def load_and_speak() -> None:
            for mode in self._checkpoints:
                model = self._model(mode)
                say = Say("Ready.", LANGUAGES["en"].name, seed=0, frames=4, cut=True)
                unheard = QueuedStream("warm-up", "")
                match mode:
                    case "clone":
                        hum = Reference(_HUM, SAMPLE_RATE)
                        model.speak_clone(model.clone_prompt(hum, ""), say, unheard)
                    case "custom":
                        model.speak_custom(self._info.speakers[0], "", say, unheard)
                    case "design":
                        model.speak_design("A calm voice.", say, unheard)

        self._dispatcher.call(load_and_speak)

    def start(self, request: SpeechRequest) -> SpeechStream:
        check_request(request, self._info, max_characters=self._config.max_characters)
        self._refuse_control_tokens(request)
        return self._dispatcher.submit(request)

    def cancel_voice(self, voice_id: str, code: str) -> int:
        hit = self._dispatcher.cancel_voice(voice_id, code)
        self._prompts.drop_voice(voice_id)
        return hit

    def close(self) -> None:
        self._dispatcher.close()
        self._prompts.clear()
        self._models.clear()

    def _speak(self, request: SpeechRequest, stream: QueuedStream) -> None:
        samples = self._synthesise(request, stream)
        for start in range(0, samples.size, _CHUNK):
            stream.emit(samples[start : start + _CHUNK])

    def _synthesise(self, request: SpeechRequest, stream: QueuedStream) -> Samples:
        said = request.utterance
        model = self._model(mode_of(request))
        say = Say(
            text=said.text,
            language=LANGUAGES[said.language].name,
            seed=request.seed,
            frames=frame_budget(said.text, self._config.max_frames),
            cut=self._config.on_runaway == "cut",
        )
        match request:
            case CloneRequest():
                return model.speak_clone(self._prompt(model, request, stream), say, stream)
            case CustomVoiceRequest():
                return model.speak_custom(request.speaker, said.instruct, say, stream)
            case DesignRequest():
                return model.speak_design(said.instruct, say, stream)

    def _prompt(self, model: QwenModel, request: CloneRequest, stream: QueuedStream) -> Prompt:
        grant, reference = request.grant.grant, request.reference
        transcript = _transcript(reference)
        key = PromptKey(grant.voice_id, grant.voice_epoch, _reference_digest(reference, transcript))
        prompt = self._prompts.get(key)
        if prompt is None:
            prompt = model.clone_prompt(reference, transcript)
            self._prompts.put(key, prompt, unless=lambda: stream.cancelled)
        return prompt

    def _model(self, mode: Mode) -> QwenModel:
        model = self._models.get(mode)
        if model is None:
            model = self._models[mode] = QwenModel(self._checkpoints[mode], self._placement)
        return model

    def _refuse_control_tokens(self, request: SpeechRequest) -> None:
        texts = [request.utterance.text, request.utterance.instruct]
        if isinstance(request, CloneRequest):
            texts.append(_transcript(request.reference))
        if any(token in text for text in texts for token in self._control_tokens):
            raise TextError(
                "the text, instruction or transcript holds a control token of the speech model; remove it",
                code="text_control_characters",
            )


def _describe(checkpoints: dict[Mode, LocalCheckpoint]) -> EngineInfo:
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
    )


def _transcript(reference: Reference) -> str:
    return canonical(reference.transcript, limit=MAX_CHARACTERS, what="transcript of the reference")


def _reference_digest(reference: Reference, transcript: str) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(reference.samples).tobytes())
    digest.update(f"{reference.sample_rate}\0{transcript}".encode())
    return digest.hexdigest()


_HUM: Final[Samples] = (0.1 * np.sin(np.arange(SAMPLE_RATE) * (2 * np.pi * 150 / SAMPLE_RATE))).astype(
    np.float32
)
