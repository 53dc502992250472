"""Random Qwen3-TTS checkpoints in the published layout: they say noise, through the real loading and generation.

A figure of speed needs no trained weights, and a machine without a network has none. Weights have a spread that
lets every input change the output; the same seed writes the same weights. Speech of a checkpoint made `endless`
ends only at its frame budget, so that every system that speaks from it does equal work.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any, Final

from vouch.bench.engine_shapes import TINY, CheckpointShape

KINDS: Final = ("base", "custom_voice", "voice_design")
_SPECIAL: Final = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<tts_pad>",
    "<tts_text_bos>",
    "<tts_text_eod>",
)
_EMBEDDING_SPREAD: Final = 0.2
_LEVEL: Final = 0.1
_GENERATION: Final[dict[str, Any]] = {
    "do_sample": True,
    "repetition_penalty": 1.05,
    "temperature": 0.9,
    "top_p": 1.0,
    "top_k": 50,
    "subtalker_dosample": True,
    "subtalker_temperature": 0.9,
    "subtalker_top_p": 1.0,
    "subtalker_top_k": 50,
    "max_new_tokens": 8192,
}


def write_checkpoint(
    folder: Path, kind: str, shape: CheckpointShape = TINY, *, seed: int = 0, endless: bool = False
) -> Path:
    """Write one checkpoint and return its directory. kind: one of KINDS."""
    from foundation.torchaudio_cpu import import_torchaudio

    import_torchaudio()
    import torch

    with contextlib.redirect_stdout(
        sys.stderr
    ):  # `qwen_tts` prints on import, and figures go to standard output
        from qwen_tts.core.models import Qwen3TTSConfig, Qwen3TTSForConditionalGeneration

    folder.mkdir(parents=True, exist_ok=True)
    tokens = _write_tokenizer(folder)
    config = Qwen3TTSConfig(
        talker_config=shape.talker_config(),
        speaker_encoder_config=shape.speaker_encoder,
        tokenizer_type="qwen3_tts_tokenizer_12hz",
        tts_model_size=shape.size,
        tts_model_type=kind,
        im_start_token_id=tokens["<|im_start|>"],
        im_end_token_id=tokens["<|im_end|>"],
        tts_pad_token_id=tokens["<tts_pad>"],
        tts_bos_token_id=tokens["<tts_text_bos>"],
        tts_eos_token_id=tokens["<tts_text_eod>"],
    )
    before = torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            torch.set_default_dtype(getattr(torch, shape.dtype))  # the 1.7B shape in float32 is 8 GB
            model = Qwen3TTSForConditionalGeneration(config)
        finally:
            torch.set_default_dtype(before)
        _randomise(model)
        _set_end(model.talker, 0.0 if endless else 1.5)
        model.save_pretrained(folder)
        del model
        write_codec(folder / "speech_tokenizer", shape)
    _drop_unknown_speaker_encoder_keys(folder / "config.json")
    _write_json(folder / "generation_config.json", _GENERATION)
    return folder


def write_codec(folder: Path, shape: CheckpointShape = TINY) -> None:
    from transformers import EncodecFeatureExtractor

    make_codec(shape).save_pretrained(folder)
    EncodecFeatureExtractor(feature_size=1, sampling_rate=24_000).save_pretrained(folder)


def make_codec(shape: CheckpointShape = TINY, **changes: Any) -> Any:
    """The 12 Hz codec alone, with `changes` to its decoder's configuration; draws from torch's random numbers."""
    from qwen_tts.core import Qwen3TTSTokenizerV2Config, Qwen3TTSTokenizerV2Model

    config = Qwen3TTSTokenizerV2Config(
        encoder_config=shape.encoder_config(), decoder_config={**shape.decoder_config(), **changes}
    )
    model = Qwen3TTSTokenizerV2Model(config)
    _randomise(model)
    _fill_codebooks(model.encoder)
    _set_level(model.decoder)
    return model.eval()


def _write_tokenizer(folder: Path) -> dict[str, int]:
    """A byte-level Qwen2 tokenizer without merges: one token a byte, and the control tokens."""
    from transformers import Qwen2TokenizerFast
    from transformers.models.gpt2.tokenization_gpt2 import bytes_to_unicode

    letters = sorted(bytes_to_unicode().values())
    _write_json(folder / "vocab.json", {letter: index for index, letter in enumerate(letters)})
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    tokenizer = Qwen2TokenizerFast(
        vocab_file=str(folder / "vocab.json"),
        merges_file=str(folder / "merges.txt"),
        additional_special_tokens=list(_SPECIAL[1:]),
    )
    tokenizer.save_pretrained(folder)
    return {token: int(tokenizer.convert_tokens_to_ids(token)) for token in _SPECIAL}


def _randomise(model: Any) -> None:
    """Norms and biases stay as they are."""
    import torch

    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            spread = _EMBEDDING_SPREAD if "embed" in name else parameter[0].numel() ** -0.5
            torch.nn.init.normal_(parameter, std=spread)


def _set_end(talker: Any, factor: float) -> None:
    """How readily speech ends: 1.5 is about one frame in twenty-five for the tiny shape.

    0 is never: half of all codes then score higher, and only the highest 50 are drawn from.
    """
    import torch

    with torch.no_grad():
        talker.codec_head.weight[talker.config.codec_eos_token_id].mul_(factor)


def _fill_codebooks(encoder: Any) -> None:
    """The encoder's codebooks are buffers and start as zeros: every recording would have the same codes."""
    import torch

    for name, buffer in encoder.named_buffers():
        if name.endswith("embed_sum"):
            torch.nn.init.normal_(buffer, std=_EMBEDDING_SPREAD)


def _set_level(decoder: Any) -> None:
    """Scale the last layer so that random codes sound at a level of 0.1, far from clipping."""
    import torch

    last = decoder.decoder[-1].conv
    config = decoder.config
    with torch.no_grad():
        last.weight.mul_(1e-3)  # out of the clamp first; the layer is linear
        wave = decoder(torch.randint(0, config.codebook_size, (1, config.num_quantizers, 25)))
        last.weight.mul_(_LEVEL / wave.std())
        last.bias.zero_()


def _drop_unknown_speaker_encoder_keys(path: Path) -> None:
    """`save_pretrained` adds keys that the class does not take back."""
    from qwen_tts.core.models.configuration_qwen3_tts import Qwen3TTSSpeakerEncoderConfig

    config = json.loads(path.read_text(encoding="utf-8"))
    known = inspect.signature(Qwen3TTSSpeakerEncoderConfig.__init__).parameters
    config["speaker_encoder_config"] = {
        key: value for key, value in config["speaker_encoder_config"].items() if key in known
    }
    _write_json(path, config)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False), encoding="utf-8")
