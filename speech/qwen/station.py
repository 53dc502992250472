"""One checkpoint at work: its model, its slots, its codec, and the way from a request to what the talker reads."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
import torch

from speech.budget import frame_budget
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
from speech.plan import Plan, plan
from speech.qwen.batcher import Batcher
from speech.qwen.checkpoint import LocalCheckpoint
from speech.qwen.codec import StreamingCodec
from speech.qwen.compose import Prompt, VoicePrompt
from speech.qwen.job import Job, Part
from speech.qwen.model import Placement, QwenModel
from speech.qwen.prompts import PromptCache, PromptKey
from speech.qwen.runner import Runner
from speech.qwen.worker import Worker
from speech.segments import plan as segments_of
from speech.stream import QueuedStream
from speech.text import MAX_CHARACTERS, canonical

VoicePrompts: TypeAlias = PromptCache[VoicePrompt]

_CPU_SLOTS: Final = 8
_LEAST_FRAMES: Final = 25  # room that a prompt must leave for speech: 2 s


@dataclass(frozen=True, slots=True)
class StationStatus:
    """Bytes, seconds and counts, for metrics. plan: only where the memory is bounded, on CUDA."""

    slots: int
    seated: int
    waiting: int
    underruns: int
    compiled: bool
    compile_s: float
    attention: str
    weights_bytes: int
    slots_bytes: int
    plan: Plan | None


class Station:
    """Use `begin`, `warm_up` and `status` from the device's thread."""

    def __init__(
        self,
        checkpoint: LocalCheckpoint,
        config: EngineConfig,
        placement: Placement,
        share: float,
        prompts: VoicePrompts,
        worker: Worker,
    ) -> None:
        """share: of the memory, when several checkpoints divide it. Raises EngineUnavailable, OutOfMemoryError."""
        self._config, self._prompts, self._worker = config, prompts, worker
        self._model = QwenModel(checkpoint, placement, positions=config.positions)
        device = self._model.frame.silence.device
        dtype = self._model.frame.silence.dtype
        self._plan = self._fitting(share) if device.type == "cuda" else None
        slots = config.slots or (self._plan.slots if self._plan else _CPU_SLOTS)
        self._runner = Runner(self._model.frame, slots, config.positions)
        codec = StreamingCodec(self._model.codec_decoder, slots=slots, device=device, dtype=dtype)
        self._model.drop_decoder()
        self.batcher = Batcher(self._runner, codec, self._model.sampling, self._prepare)

    def begin(self, request: SpeechRequest, stream: QueuedStream) -> None:
        job = Job(
            request,
            stream,
            segments_of(request.utterance),
            lambda text: self._part(request, stream, text),
            delivery=self._config.delivery,
            cut=self._config.on_runaway == "cut",
            arrived=time.monotonic(),
        )
        if not job.text:  # the utterance begins with a pause
            job.end_segment(time.monotonic())
        self._prepare(job)

    def warm_up(self) -> None:
        """Compile, capture, and speak a few frames that nobody hears."""
        if self._config.compile_cache is not None:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = self._config.compile_cache
        self._runner.warm_up(compile=self._config.compile == "auto")
        self.batcher.rehearse(self._rehearsal())

    def status(self) -> StationStatus:
        return StationStatus(
            slots=self._runner.slots,
            seated=self.batcher.seated,
            waiting=self.batcher.waiting,
            underruns=self.batcher.underruns,
            compiled=self._runner.compiled,
            compile_s=self._runner.compile_s,
            attention=self._model.frame.kernel,
            weights_bytes=self._model.nbytes,
            slots_bytes=self._runner.state.nbytes + self._runner.slots * self.batcher.codec.bytes_per_slot,
            plan=self._plan,
        )

    def _prepare(self, job: Job) -> None:
        self._worker.make(job, self.batcher)

    def _fitting(self, share: float) -> Plan:
        """After loading, when it is known what the weights and the rest really take."""
        like = self._model.frame.silence
        total = torch.cuda.get_device_properties(like.device).total_memory
        value_bytes = like.element_size()
        codec = StreamingCodec(self._model.codec_decoder, slots=0, device=like.device, dtype=like.dtype)
        return plan(
            total,
            (self._config.memory_fraction or 0.9) * share,
            self._model.shape,
            positions=self._config.positions,
            value_bytes=value_bytes,
            other_weights_bytes=max(0, self._model.nbytes - self._model.shape.weights * value_bytes),
            codec_slot_bytes=codec.bytes_per_slot,
        )

    # in the thread that makes prompts -----------------------------------------------------------------------------
    def _part(self, request: SpeechRequest, stream: QueuedStream, text: str) -> Part:
        said, composer = request.utterance, self._model.composer
        reference = None
        match request:
            case CloneRequest():
                voice = self._voice(request, stream)
                prompt = composer.clone(text, said.language, voice)
                # A copy: the cache may drop and erase its own before the codec has read this one.
                reference = None if voice.codes is None else voice.codes.t().clone()
            case CustomVoiceRequest():
                prompt = composer.custom(text, said.language, request.speaker, said.instruct)
            case DesignRequest():
                prompt = composer.design(text, said.language, said.instruct)
        return self._bounded(
            prompt, frame_budget(text, said.language, self._config.budget.budget()), reference
        )

    def _bounded(self, prompt: Prompt, budget: int, reference: torch.Tensor | None) -> Part:
        room = self._config.positions - len(prompt.embeddings) - 1
        if room < min(budget, _LEAST_FRAMES):
            raise RequestInvalid(
                "reference, transcript and text are too long together for one generation; use a shorter reference"
            )
        own = replace(prompt, text=prompt.text[: self._config.positions].clone())
        return Part(own, min(budget, self._config.max_frames, room), reference)

    def _voice(self, request: CloneRequest, stream: QueuedStream) -> VoicePrompt:
        grant, reference = request.grant.grant, request.reference
        transcript = transcript_of(reference)
        key = PromptKey(grant.voice_id, grant.voice_epoch, _digest(reference, transcript))
        prompt = self._prompts.get(key)
        if prompt is None:
            prompt = self._model.clone_prompt(reference, transcript)
            self._prompts.put(key, prompt, unless=lambda: stream.cancelled)
        return prompt

    def _rehearsal(self) -> Part:
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
        return self._bounded(prompt, 8, None)


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
