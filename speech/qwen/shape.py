"""The sizes of a Qwen3-TTS checkpoint, read from its `config.json`; what the memory plan and the buffers go by.

Two transformer stacks make one codec frame: the talker, one step a frame, says the first of the frame's codes;
the code predictor, one step a code, says the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Stack:
    """One transformer stack. heads share kv_heads (grouped-query attention); epsilon is RMSNorm's."""

    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    epsilon: float
    rope_theta: float

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> Stack:
        heads = int(config["num_attention_heads"])
        return cls(
            layers=int(config["num_hidden_layers"]),
            hidden=int(config["hidden_size"]),
            ffn=int(config["intermediate_size"]),
            heads=heads,
            kv_heads=int(config["num_key_value_heads"]),
            head_dim=int(config.get("head_dim") or config["hidden_size"] // heads),
            epsilon=float(config.get("rms_norm_eps", 1e-6)),
            rope_theta=float(config.get("rope_theta", 10_000.0)),
        )

    @property
    def position_values(self) -> int:
        """Numbers that the key-value cache keeps for one position."""
        return 2 * self.layers * self.kv_heads * self.head_dim

    @property
    def weights(self) -> int:
        width = self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        per_layer = self.hidden * (width + 3 * self.ffn) + 2 * self.hidden + 2 * self.head_dim
        return self.layers * per_layer + self.hidden


@dataclass(frozen=True, slots=True)
class Shape:
    """codes: values of a code (the predictor's vocabulary). vocabulary: the talker's, codes and control ids.

    groups: codes in a frame.
    """

    talker: Stack
    predictor: Stack
    groups: int
    codes: int
    vocabulary: int
    text_hidden: int
    text_vocabulary: int

    @classmethod
    def parse(cls, talker: Mapping[str, Any]) -> Shape:
        """From the `talker_config` of a checkpoint's `config.json`, defaults filled in."""
        predictor = talker["code_predictor_config"]
        return cls(
            talker=Stack.parse(talker),
            predictor=Stack.parse(predictor),
            groups=int(talker["num_code_groups"]),
            codes=int(predictor["vocab_size"]),
            vocabulary=int(talker["vocab_size"]),
            text_hidden=int(talker["text_hidden_size"]),
            text_vocabulary=int(talker["text_vocab_size"]),
        )

    @property
    def weights(self) -> int:
        """Numbers in talker, code predictor and embeddings; without codec and speaker encoder."""
        hidden, small, later = self.talker.hidden, self.predictor.hidden, self.groups - 1
        embeddings = self.text_vocabulary * self.text_hidden + self.vocabulary * hidden
        tables = later * self.codes * (hidden + 2 * small)  # embeddings, projected embeddings, heads
        projections = self.text_hidden * (self.text_hidden + hidden) + (hidden + 1) * small
        return (
            self.talker.weights
            + self.predictor.weights
            + embeddings
            + tables
            + projections
            + self.vocabulary * hidden
        )
