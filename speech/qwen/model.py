"""One loaded checkpoint: the only module that calls `qwen_tts`.

It never hands `qwen_tts` a caller's string as audio: the package would take it for a path or a URL and fetch
it. References go in as arrays. `qwen_tts` has no streaming output, so a finished utterance comes back whole.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import soxr

from speech.engine import SAMPLE_RATE, Reference, Samples
from speech.errors import EngineUnavailable, SynthesisCancelled, SynthesisFailed
from speech.qwen.checkpoint import LocalCheckpoint
from speech.qwen.torchaudio_cpu import import_torchaudio
from speech.stream import QueuedStream

Prompt: TypeAlias = list[Any]  # one qwen_tts.VoiceClonePromptItem

_log = logging.getLogger(__name__)
# torch's random numbers are global to the process, so engines in one process take turns.
_TURN: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and in what precision to compute. device: "cpu" or "cuda:0". dtype: name of a torch dtype."""

    device: str
    dtype: str


def choose_placement(device: str, dtype: str, memory_fraction: float | None) -> Placement:
    """Resolve "auto" and cap the GPU's memory. Raises EngineUnavailable where cuda is wanted and missing."""
    import torch

    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise EngineUnavailable(
            "device is cuda, but torch sees no GPU; use device: cpu, or a CUDA build of torch"
        )
    on_gpu = has_cuda and device != "cpu"
    if on_gpu and memory_fraction is not None:
        torch.cuda.set_per_process_memory_fraction(memory_fraction)
    precision = dtype if dtype != "auto" else ("bfloat16" if on_gpu else "float32")
    return Placement("cuda:0" if on_gpu else "cpu", precision)


class QwenModel:
    """A checkpoint in memory. Use from one thread."""

    def __init__(self, checkpoint: LocalCheckpoint, placement: Placement) -> None:
        """Load. Raises EngineUnavailable."""
        torch, package = _import_qwen_tts()
        try:
            self._tts = package.Qwen3TTSModel.from_pretrained(
                str(checkpoint.folder),
                device_map=placement.device,
                dtype=getattr(torch, placement.dtype),
                local_files_only=True,
                use_safetensors=True,
            )
        except Exception as error:
            raise EngineUnavailable(
                f"the {checkpoint.kind} checkpoint does not load ({type(error).__name__}); fetch it again"
            ) from error
        rate = self._tts.model.speech_tokenizer.get_output_sample_rate()
        if rate != SAMPLE_RATE:
            raise EngineUnavailable(
                f"the {checkpoint.kind} checkpoint speaks at {rate} Hz, not {SAMPLE_RATE}"
            )
        self._torch = torch
        self._placement = placement
        talker = self._tts.model.talker
        # Said here once; `generate` would otherwise log a line for every request.
        talker.generation_config.pad_token_id = self._tts.model.config.talker_config.codec_eos_token_id
        talker.register_forward_pre_hook(self._before_frame)
        self._stream: QueuedStream | None = None
        self._steps = 0

    def clone_prompt(self, reference: Reference, transcript: str) -> Prompt:
        """What the model needs of a reference: codes and transcript (ICL), or an embedding alone (x-vector)."""
        samples = reference.samples
        if reference.sample_rate != SAMPLE_RATE:  # the package would load librosa and compile it: ten seconds
            samples = soxr.resample(samples, reference.sample_rate, SAMPLE_RATE)
        prompt: Prompt = self._tts.create_voice_clone_prompt(
            ref_audio=(samples, SAMPLE_RATE),
            ref_text=transcript or None,
            x_vector_only_mode=not transcript,
        )
        return prompt

    def speak_clone(self, prompt: Prompt, say: Say, stream: QueuedStream) -> Samples:
        with self._generating(say, stream) as settings:
            waves, _ = self._tts.generate_voice_clone(voice_clone_prompt=prompt, **settings)
        return self._samples(waves)

    def speak_custom(self, speaker: str, instruct: str, say: Say, stream: QueuedStream) -> Samples:
        with self._generating(say, stream) as settings:
            waves, _ = self._tts.generate_custom_voice(speaker=speaker, instruct=instruct or None, **settings)
        return self._samples(waves)

    def speak_design(self, instruct: str, say: Say, stream: QueuedStream) -> Samples:
        with self._generating(say, stream) as settings:
            waves, _ = self._tts.generate_voice_design(instruct=instruct, **settings)
        return self._samples(waves)

    @contextlib.contextmanager
    def _generating(self, say: Say, stream: QueuedStream) -> Iterator[dict[str, Any]]:
        torch = self._torch
        devices = [torch.cuda.current_device()] if self._placement.device != "cpu" else []
        with _TURN, torch.random.fork_rng(devices=devices):
            torch.manual_seed(say.seed)
            self._stream, self._steps = stream, 0
            try:
                yield {"text": say.text, "language": say.language, "max_new_tokens": say.frames}
            finally:
                self._stream = None
        if self._steps >= say.frames and not say.cut:
            raise SynthesisFailed("the model found no end within the text's frame budget; try another seed")

    def _before_frame(self, _talker: Any, _inputs: Any) -> None:
        """Runs before every talker step: the place where a long generation can be left."""
        self._steps += 1
        if self._stream is not None and self._stream.cancelled:
            raise SynthesisCancelled("the synthesis was cancelled")

    @staticmethod
    def _samples(waves: list[Any]) -> Samples:
        return np.asarray(waves[0], dtype=np.float32).reshape(-1)


@dataclass(frozen=True, slots=True, repr=False)
class Say:
    """language: as `qwen_tts` names it. frames: the budget. cut: give what there is when it is used up."""

    text: str
    language: str
    seed: int
    frames: int
    cut: bool


def erase_prompt(prompt: Prompt) -> None:
    """Overwrite the tensors of a prompt: freed memory keeps its contents."""
    import torch

    with torch.inference_mode():
        for item in prompt:
            for tensor in (item.ref_code, item.ref_spk_embedding):
                if tensor is not None:
                    tensor.zero_()


def _import_qwen_tts() -> tuple[Any, Any]:
    """(torch, qwen_tts); quietly, as `qwen_tts` prints on import and standard output is our callers'."""
    try:
        import torch

        import_torchaudio()
        with contextlib.redirect_stdout(sys.stderr):
            import qwen_tts
    except (ImportError, OSError) as error:
        raise EngineUnavailable(f"Qwen3-TTS cannot be imported ({error}); reinstall the package") from error
    return torch, qwen_tts
