"""A size of Qwen3-TTS, as the configurations that `qwen_tts` takes, and a tiny one.

`TINY` has about a million parameters and the real frame (16 codes, 1,920 samples): it runs the same code in
seconds, and what it measures is everything but arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from speech.languages import LANGUAGES

SPEAKERS: Final = ("serena", "vivian", "uncle_fu", "ryan", "aiden", "ono_anna", "sohee", "eric", "dylan")
GROUPS: Final = 16
_CONTROL: Final = 1024  # ids above the codes: eos, think, pad, bos, languages, speakers
_LANGUAGES: Final = tuple(language.name.lower() for language in LANGUAGES.values())
_DIALECTS: Final = {"eric": "sichuan_dialect", "dylan": "beijing_dialect"}


@dataclass(frozen=True, slots=True)
class CheckpointShape:
    """size: as the checkpoint calls itself. codes: values of one code. dtype: of the weights on disk."""

    name: str
    size: str
    codes: int
    dtype: str
    talker: dict[str, Any]
    predictor: dict[str, Any]
    speaker_encoder: dict[str, Any]
    encoder: dict[str, Any]
    decoder: dict[str, Any]

    def talker_config(self) -> dict[str, Any]:
        """With the control ids above the codes, in the order of the published checkpoints' names."""
        control = iter(range(self.codes, self.codes + _CONTROL))
        return {
            "vocab_size": self.codes + _CONTROL,
            **self.talker,
            "num_code_groups": GROUPS,
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
                "vocab_size": self.codes,
                **self.predictor,
                "num_code_groups": GROUPS,
            },
        }

    def encoder_config(self) -> dict[str, Any]:
        return {
            "upsampling_ratios": [8, 6, 5, 4],
            "codebook_size": self.codes,
            "frame_rate": 12.5,
            "use_causal_conv": True,
            **self.encoder,
        }

    def decoder_config(self) -> dict[str, Any]:
        return {"codebook_size": self.codes, "num_quantizers": GROUPS, **self.decoder}


TINY: Final = CheckpointShape(
    name="tiny",
    size="1b7",
    codes=512,
    dtype="float32",
    talker={
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "rope_scaling": {"interleaved": True, "mrope_section": [4, 2, 2], "rope_type": "default"},
        "text_hidden_size": 64,
        "text_vocab_size": 512,
    },
    predictor={
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
    },
    speaker_encoder={
        "enc_dim": 64,
        "enc_channels": [16, 16, 16, 16, 48],
        "enc_attention_channels": 16,
        "enc_res2net_scale": 4,
        "enc_se_channels": 16,
    },
    encoder={
        "num_filters": 4,
        "hidden_size": 32,
        "num_quantizers": GROUPS,
        "codebook_dim": 16,
        "vector_quantization_hidden_dimension": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "intermediate_size": 64,
        "sliding_window": 72,
        "upsample_groups": 32,
    },
    decoder={
        "codebook_dim": 32,
        "hidden_size": 32,
        "latent_dim": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "decoder_dim": 32,
    },
)
