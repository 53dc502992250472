"""The published sizes of Qwen3-TTS, and the tiny one beside them."""

from __future__ import annotations

from typing import Final

from vouch.bench.engine_shapes import TINY, CheckpointShape

_PUBLISHED_CODEC: Final = {
    "encoder": {"num_quantizers": 32, "hidden_size": 512, "upsample_groups": 512},
    "decoder": {"codebook_dim": 512, "head_dim": 64},  # the rest are the package's own defaults
}


def _published(name: str, size: str, hidden: int, ffn: int) -> CheckpointShape:
    return CheckpointShape(
        name=name,
        size=size,
        codes=2048,
        dtype="bfloat16",
        talker={
            "hidden_size": hidden,
            "intermediate_size": ffn,
            "num_hidden_layers": 28,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "rope_theta": 1_000_000,
            "rope_scaling": {"interleaved": True, "mrope_section": [24, 20, 20], "rope_type": "default"},
            "text_hidden_size": 2048,
            "text_vocab_size": 151_936,
        },
        predictor={
            "hidden_size": 1024,
            "intermediate_size": 3072,
            "num_hidden_layers": 5,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
        },
        speaker_encoder={"enc_dim": hidden},
        **_PUBLISHED_CODEC,
    )


SHAPES: Final = {
    shape.name: shape
    for shape in (TINY, _published("0.6b", "0b6", 1024, 3072), _published("1.7b", "1b7", 2048, 6144))
}
