"""Tiny random Qwen3-TTS checkpoints, so that the real loading and generation code runs in seconds, offline.

Three directories, `base`, `custom_voice` and `voice_design`, in the layout of the published checkpoints:
about one million random parameters each, a byte-level tokenizer with the real control tokens, and a 12 Hz
codec with the real frame rate (1,920 samples). What they say is noise; that they say it, and the same every
time, is what tests need.

    python -m tests.assets.tiny_qwen OUT
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any, Final

from speech.languages import LANGUAGES

KINDS: Final = ("base", "custom_voice", "voice_design")
SPEAKERS: Final = ("serena", "vivian", "uncle_fu", "ryan", "aiden", "ono_anna", "sohee", "eric", "dylan")
_LANGUAGES: Final = tuple(language.name.lower() for language in LANGUAGES.values())
_DIALECTS: Final = {"eric": "sichuan_dialect", "dylan": "beijing_dialect"}

_HIDDEN: Final = 64
_TEXT_HIDDEN: Final = 64
_CODES: Final = 512
_CONTROL: Final = 1024  # ids above the codes: eos, think, pad, bos, languages, speakers
_GROUPS: Final = 16
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


def build(folder: Path, *, seed: int = 0) -> dict[str, Path]:
    """Write all three checkpoints under `folder`; the same seed writes the same weights."""
    return {kind: build_one(folder / kind, kind, seed=seed) for kind in KINDS}


def build_one(folder: Path, kind: str, *, seed: int = 0) -> Path:
    """Write one checkpoint and return its directory."""
    from speech.qwen.torchaudio_cpu import import_torchaudio

    import_torchaudio()
    import torch
    from qwen_tts.core.models import Qwen3TTSConfig, Qwen3TTSForConditionalGeneration

    folder.mkdir(parents=True, exist_ok=True)
    tokens = _write_tokenizer(folder)
    config = Qwen3TTSConfig(
        talker_config=_talker_config(),
        speaker_encoder_config=_speaker_encoder_config(),
        tokenizer_type="qwen3_tts_tokenizer_12hz",
        tts_model_size="1b7",
        tts_model_type=kind,
        im_start_token_id=tokens["<|im_start|>"],
        im_end_token_id=tokens["<|im_end|>"],
        tts_pad_token_id=tokens["<tts_pad>"],
        tts_bos_token_id=tokens["<tts_text_bos>"],
        tts_eos_token_id=tokens["<tts_text_eod>"],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3TTSForConditionalGeneration(config)
        _randomise(model)
        _let_speech_end(model)
        model.save_pretrained(folder)
        _write_codec(folder / "speech_tokenizer")
    _drop_unknown_speaker_encoder_keys(folder / "config.json")
    _write_json(folder / "generation_config.json", _GENERATION)
    return folder


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


def _talker_config() -> dict[str, Any]:
    control = iter(range(_CODES, _CODES + _CONTROL))
    rope = {"interleaved": True, "mrope_section": [4, 2, 2], "rope_type": "default"}
    return {
        "vocab_size": _CODES + _CONTROL,
        "hidden_size": _HIDDEN,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "rope_scaling": rope,
        "num_code_groups": _GROUPS,
        "text_hidden_size": _TEXT_HIDDEN,
        "text_vocab_size": 512,
        "codec_eos_token_id": next(control),
        "codec_think_id": next(control),
        "codec_nothink_id": next(control),
        "codec_think_bos_id": next(control),
        "codec_think_eos_id": next(control),
        "codec_pad_id": next(control),
        "codec_bos_id": next(control),
        "codec_language_id": {name: next(control) for name in (*_LANGUAGES, *_DIALECTS.values())},
        "spk_id": {name: next(control) for name in SPEAKERS},
        "spk_is_dialect": {name: _DIALECTS.get(name, False) for name in SPEAKERS},
        "code_predictor_config": {
            "vocab_size": _CODES,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "num_code_groups": _GROUPS,
        },
    }


def _speaker_encoder_config() -> dict[str, Any]:
    return {
        "enc_dim": _HIDDEN,
        "enc_channels": [16, 16, 16, 16, 48],
        "enc_attention_channels": 16,
        "enc_res2net_scale": 4,
        "enc_se_channels": 16,
    }


def _write_codec(folder: Path) -> None:
    from transformers import EncodecFeatureExtractor

    codec().save_pretrained(folder)
    EncodecFeatureExtractor(feature_size=1, sampling_rate=24_000).save_pretrained(folder)


def codec(**changes: Any) -> Any:
    """The 12 Hz codec alone, with `changes` to its decoder's configuration; draws from torch's random numbers."""
    from qwen_tts.core import Qwen3TTSTokenizerV2Config, Qwen3TTSTokenizerV2Model

    encoder = {
        "num_filters": 4,
        "hidden_size": 32,
        "upsampling_ratios": [8, 6, 5, 4],
        "num_quantizers": _GROUPS,
        "codebook_size": _CODES,
        "codebook_dim": 16,
        "vector_quantization_hidden_dimension": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "intermediate_size": 64,
        "sliding_window": 72,
        "frame_rate": 12.5,
        "upsample_groups": 32,
        "use_causal_conv": True,
    }
    decoder = {
        "codebook_size": _CODES,
        "codebook_dim": 32,
        "hidden_size": 32,
        "latent_dim": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_quantizers": _GROUPS,
        "decoder_dim": 32,
        **changes,
    }
    config = Qwen3TTSTokenizerV2Config(encoder_config=encoder, decoder_config=decoder)
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
    return {token: tokenizer.convert_tokens_to_ids(token) for token in _SPECIAL}


def _randomise(model: Any) -> None:
    """Random weights of a spread that lets every input change the output; norms stay as they are."""
    import torch

    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            spread = _EMBEDDING_SPREAD if "embed" in name else parameter[0].numel() ** -0.5
            torch.nn.init.normal_(parameter, std=spread)


def _let_speech_end(model: Any) -> None:
    """Give the end of speech a fair chance: about one frame in twenty-five, instead of never."""
    import torch

    talker = model.talker
    with torch.no_grad():
        talker.codec_head.weight[talker.config.codec_eos_token_id].mul_(1.5)


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
    with torch.no_grad():
        last.weight.mul_(1e-3)  # out of the clamp first; the layer is linear
        wave = decoder(torch.randint(0, _CODES, (1, _GROUPS, 25)))
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


if __name__ == "__main__":
    for kind, where in build(Path(sys.argv[1])).items():
        print(kind, where)  # noqa: T201
