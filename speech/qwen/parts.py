"""From a request's segment to a part: what the talker reads, and how many frames it may take.

Runs in a thread beside the device's (`worker`): a recording takes a fraction of a second to become a prompt.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np
import torch

from speech.budget import FRAMES_PER_SECOND, expected_seconds, frame_budget
from speech.config import EngineConfig
from speech.engine import (
    SAMPLE_RATE,
    CloneRequest,
    CustomVoiceRequest,
    DesignRequest,
    Reference,
    Samples,
    SpeechRequest,
)
from speech.errors import RequestInvalid
from speech.qwen.compose import Prompt, VoicePrompt
from speech.qwen.job import Part
from speech.qwen.model import QwenModel
from speech.qwen.prompts import PromptCache, PromptKey
from speech.stream import QueuedStream
from speech.text import MAX_CHARACTERS, canonical

VoicePrompts: TypeAlias = PromptCache[VoicePrompt]

_LEAST_FRAMES: Final = 25  # room that a prompt must leave for speech: 2 s


class PartMaker:
    """Over one model. Use from one thread."""

    def __init__(self, model: QwenModel, config: EngineConfig, prompts: VoicePrompts) -> None:
        self._model, self._config, self._prompts = model, config, prompts

    def make(self, request: SpeechRequest, stream: QueuedStream, text: str) -> Part:
        """Raises RequestInvalid when reference and text are too long together."""
        said, composer = request.utterance, self._model.composer
        reference = None
        match request:
            case CloneRequest():
                prompt, reference = self._cloned(request, stream, text)
            case CustomVoiceRequest():
                prompt = composer.custom(text, said.language, request.speaker, said.instruct)
            case DesignRequest():
                prompt = composer.design(text, said.language, said.instruct)
        return self._bounded(prompt, text, said.language, reference)

    def rehearsal(self) -> Part:
        composer = self._model.composer
        match self._model.kind:
            case "base":
                prompt = composer.clone(
                    "Ready.", "en", self._model.clone_prompt(Reference(_HUM, SAMPLE_RATE), "")
                )
            case "custom_voice":
                prompt = composer.custom("Ready.", "en", self._model.speakers[0], "")
            case "voice_design":
                prompt = composer.design("Ready.", "en", "A calm voice.")
        return self._bounded(prompt, "Ready.", "en", None)

    def _cloned(
        self, request: CloneRequest, stream: QueuedStream, text: str
    ) -> tuple[Prompt, torch.Tensor | None]:
        """What the talker reads, and the codes that the codec continues from; both are copies, as the cache may
        drop and erase the voice at any time.
        """

        def compose(voice: VoicePrompt) -> tuple[Prompt, torch.Tensor | None]:
            codes = None if voice.codes is None else voice.codes.t().clone()
            return self._model.composer.clone(text, request.utterance.language, voice), codes

        grant, reference = request.grant.grant, request.reference
        self._refuse_endless(reference)
        transcript = transcript_of(reference)
        digest = _digest(reference, transcript)
        key = PromptKey(grant.tenant, grant.voice_id, grant.voice_epoch, digest)
        known = self._prompts.use(key, compose)
        if known is not None:
            return known
        voice = self._model.clone_prompt(reference, transcript)
        kept = False
        try:
            composed = compose(voice)
            kept = self._prompts.put(key, voice, unless=lambda: stream.cancelled)
        finally:
            if not kept:
                voice.erase()
        return composed

    def _refuse_endless(self, reference: Reference) -> None:
        """Before time is spent on it: it could not fit into a slot anyway."""
        most_s = self._config.positions / FRAMES_PER_SECOND
        if reference.samples.size > most_s * reference.sample_rate:
            raise RequestInvalid(f"the reference is longer than {most_s:.0f} s; use a shorter one")

    def _bounded(self, prompt: Prompt, text: str, language: str, reference: torch.Tensor | None) -> Part:
        config, rates = self._config, self._config.budget.budget()
        room = config.positions - len(prompt.embeddings) - 1
        usual = math.ceil(FRAMES_PER_SECOND * expected_seconds(text, language, rates))
        if room < max(_LEAST_FRAMES, usual):
            raise RequestInvalid(
                "reference, transcript and text are too long together for one generation; use a shorter reference"
            )
        own = replace(prompt, text=prompt.text[: config.positions].clone())
        return Part(own, min(frame_budget(text, language, rates), config.max_frames, room), reference)


def erase(prompt: VoicePrompt) -> None:
    prompt.erase()


def transcript_of(reference: Reference) -> str:
    return canonical(reference.transcript, limit=MAX_CHARACTERS, what="transcript of the reference")


def _digest(reference: Reference, transcript: str) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(reference.samples).tobytes())
    digest.update(f"{reference.sample_rate}\0{transcript}".encode())
    return digest.hexdigest()


_HUM: Final[Samples] = (0.1 * np.sin(np.arange(SAMPLE_RATE) * (2 * np.pi * 150 / SAMPLE_RATE))).astype(
    np.float32
)
