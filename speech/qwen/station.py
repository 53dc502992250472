"""One checkpoint at work: its model, its slots, its codec, and the batcher that drives them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Final

import torch

from speech.config import EngineConfig
from speech.engine import SpeechRequest
from speech.qwen.batcher import Batcher
from speech.qwen.checkpoint import LocalCheckpoint
from speech.qwen.codec import StreamingCodec
from speech.qwen.job import Job
from speech.qwen.model import Placement, QwenModel
from speech.qwen.parts import PartMaker, VoicePrompts
from speech.qwen.plan import Plan, plan
from speech.qwen.runner import Runner
from speech.qwen.worker import Worker
from speech.segments import plan as segments_of
from speech.stream import QueuedStream

_CPU_SLOTS: Final = 8


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
        self._config, self._worker = config, worker
        self._model = QwenModel(checkpoint, placement, positions=config.positions)
        self._parts = PartMaker(self._model, config, prompts)
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
            lambda text: self._parts.make(request, stream, text),
            delivery=self._config.delivery,
            cut=self._config.on_runaway == "cut",
            silence=self._model.silence_codes,
            arrived=time.monotonic(),
        )
        if not job.text:  # the utterance begins with a pause
            job.end_segment(time.monotonic())
        self._prepare(job)

    def warm_up(self) -> None:
        """Compile, capture, and speak a few frames that nobody hears."""
        if self._config.compile_cache is not None:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = self._config.compile_cache
        compile = self._config.compile == "auto"
        self._runner.warm_up(compile=compile, threads=self._config.threads)
        self.batcher.hand_over.warm_up(compile=compile)
        self.batcher.rehearse(self._parts.rehearsal())

    def status(self) -> StationStatus:
        return StationStatus(
            slots=self._runner.slots,
            seated=len(self.batcher.seats.jobs),
            waiting=self.batcher.waiting,
            underruns=self.batcher.seats.underruns,
            compiled=self._runner.graphs.compiled,
            compile_s=self._runner.graphs.compile_s + self.batcher.hand_over.pieces.compile_s,
            attention=self._model.frame.kernel,
            weights_bytes=self._model.nbytes,
            slots_bytes=self._runner.state.nbytes
            + self._runner.slots * self.batcher.seats.codec.bytes_per_slot,
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
