"""One loaded checkpoint: the only module that calls `qwen_tts`.

Weights come in through the package and are handed on: talker and code predictor to the frame, the codec's decoder
to the streaming codec. What the package keeps is the way from a recording to a voice prompt. It never gets a
caller's string as audio: the package would take it for a path or a URL and fetch it.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
import torch

from foundation.torchaudio_cpu import import_torchaudio
from speech.engine import SAMPLE_RATE, Reference
from speech.errors import EngineUnavailable
from speech.qwen.attention import best_kernel
from speech.qwen.checkpoint import LocalCheckpoint
from speech.qwen.compose import Composer, VoicePrompt
from speech.qwen.failures import out_of_memory
from speech.qwen.frame import Frame
from speech.qwen.sampling import Choice, Draw
from speech.qwen.shape import Shape
from speech.qwen.slots import Sampling
from speech.qwen.sox_absent import import_sox

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and in what precision to compute. device: "cpu" or "cuda:0". dtype: name of a torch dtype."""

    device: str
    dtype: str


def choose_placement(device: str, dtype: str, memory_fraction: float | None) -> Placement:
    """Resolve "auto" and cap the GPU's memory. Raises EngineUnavailable where cuda is wanted and missing."""
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

    def __init__(self, checkpoint: LocalCheckpoint, placement: Placement, *, positions: int) -> None:
        """Load; positions: the longest sequence, prompt and frames. Raises EngineUnavailable, MemoryError."""
        self._tts: Any = _load(checkpoint, placement)
        model = self._tts.model
        rate = model.speech_tokenizer.get_output_sample_rate()
        if rate != SAMPLE_RATE:
            raise EngineUnavailable(
                f"the {checkpoint.kind} checkpoint speaks at {rate} Hz, not {SAMPLE_RATE}"
            )
        self.kind, self.speakers = checkpoint.kind, checkpoint.speakers
        self.sampling = sampling_of(model.generate_config)
        self.shape = Shape.parse(model.config.talker_config.to_dict())
        self.frame = build_frame(model, self.sampling, positions)
        self.composer = Composer(model, self._tts.processor, self.frame)
        self.codec_decoder: Any = model.speech_tokenizer.model.decoder
        self.silence_codes = _silence_codes(model.speech_tokenizer)
        self.nbytes = _nbytes(model, self.frame)
        model.talker = torch.nn.Module()  # its weights live on in the frame, fused

    def drop_decoder(self) -> None:
        """After the streaming codec has copied its weights: they need not be in memory twice."""
        del self.codec_decoder
        self._tts.model.speech_tokenizer.model.decoder = torch.nn.Module()

    def clone_prompt(self, reference: Reference, transcript: str) -> VoicePrompt:
        """Codes and transcript (in-context learning), or without a transcript an embedding alone (x-vector)."""
        samples = reference.samples
        if reference.sample_rate != SAMPLE_RATE:  # the package would load librosa and compile it: ten seconds
            samples = soxr.resample(samples, reference.sample_rate, SAMPLE_RATE)
        (item,) = self._tts.create_voice_clone_prompt(
            ref_audio=(samples, SAMPLE_RATE),
            ref_text=transcript or None,
            x_vector_only_mode=not transcript,
        )
        ids = self.composer.transcript_ids(transcript) if transcript else None
        return VoicePrompt(item.ref_spk_embedding, item.ref_code, ids)


def build_frame(model: Any, sampling: Sampling, positions: int) -> Frame:
    """The frame over a `Qwen3TTSForConditionalGeneration`'s talker and code predictor."""
    talker = model.talker
    weight = talker.model.codec_embedding.weight
    ids = torch.tensor([[model.config.tts_pad_token_id]], device=weight.device)
    with torch.no_grad():
        silence = talker.text_projection(talker.model.text_embedding(ids))[0, 0]
        return Frame(
            talker,
            Shape.parse(talker.config.to_dict()),
            positions,
            silence,
            (_choice(sampling.first), _choice(sampling.others)),
            best_kernel(weight.device, weight.dtype),
        )


def _silence_codes(tokenizer: Any) -> frozenset[int]:
    """First codes of digital silence: a model that says nothing else has fallen silent."""
    with torch.inference_mode():
        encoded = tokenizer.encode(np.zeros(2 * SAMPLE_RATE, dtype=np.float32), sr=SAMPLE_RATE)
    return frozenset(encoded.audio_codes[0][:, 0].tolist())


def _choice(draw: Draw) -> Choice:
    return Choice(draw.top_k, nucleus=draw.top_p < 1.0)


def _nbytes(model: Any, frame: Frame) -> int:
    """Of every weight that stays: the frame's, the text embedding's, the codec's and the speaker encoder's."""
    talker = model.talker
    kept = [talker.model.text_embedding, talker.text_projection, model.speech_tokenizer.model]
    kept += [model.speaker_encoder] if model.speaker_encoder is not None else []
    modules: int = sum(tensor.nbytes for part in kept for tensor in part.parameters())
    return modules + frame.nbytes


def sampling_of(config: Mapping[str, Any]) -> Sampling:
    """From a checkpoint's generation_config.json; what it leaves out is as in `qwen_tts`."""

    def draw(prefix: str, sampled: str) -> Draw:
        return Draw(
            temperature=float(config.get(f"{prefix}temperature", 0.9)),
            top_k=int(config.get(f"{prefix}top_k", 50)),
            top_p=float(config.get(f"{prefix}top_p", 1.0)),
            greedy=not config.get(sampled, True),
        )

    return Sampling(
        draw("", "do_sample"),
        draw("subtalker_", "subtalker_dosample"),
        float(config.get("repetition_penalty", 1.05)),
    )


def _load(checkpoint: LocalCheckpoint, placement: Placement) -> Any:
    package = _import_qwen_tts()
    try:
        return package.Qwen3TTSModel.from_pretrained(
            str(checkpoint.folder),
            device_map=placement.device,
            dtype=getattr(torch, placement.dtype),
            local_files_only=True,
            use_safetensors=True,
        )
    except Exception as error:
        if out_of_memory(error):
            raise
        raise EngineUnavailable(
            f"the {checkpoint.kind} checkpoint does not load ({type(error).__name__}); fetch it again"
        ) from error


def _import_qwen_tts() -> Any:
    """`qwen_tts`, quietly: it prints a banner on import, about kernels that are never used here."""
    said = io.StringIO()
    try:
        import_torchaudio()
        import_sox()
        with contextlib.redirect_stdout(said):
            import qwen_tts
    except (ImportError, OSError) as error:
        raise EngineUnavailable(f"Qwen3-TTS cannot be imported ({error}); reinstall the package") from error
    _log.debug("qwen_tts said: %s", said.getvalue().strip())
    return qwen_tts
