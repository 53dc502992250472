"""A transformer stack over a static cache: what talker and code predictor have in common.

Qwen3's layer (pre-norm RMSNorm, norms on queries and keys, grouped-query attention, SwiGLU) with fused
projections: one product for queries, keys and values, one for gate and up. Rotary embedding (arXiv 2104.09864)
is one-dimensional: for speech the talker's three position indexes are always equal. Only tensors steer it, so
that a frame can be compiled or captured whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import linear, silu

from speech.qwen.attention import FLASH, flash_look_back, look_back
from speech.qwen.shape import Stack

Cache: TypeAlias = tuple[
    Tensor, Tensor
]  # keys and values of one layer: [slots, positions, kv_heads, head_dim]


@dataclass(frozen=True, slots=True)
class Places:
    """Where the tokens of a step stand. rows: int64[B, 1]. positions: int64[B or 1, T]. cos, sin: [B, T, 1, D].

    visible: bool[B, 1, rows, L] for SDPA, else None. start: int32[B] for flash-attn, else None.
    """

    rows: Tensor
    positions: Tensor
    cos: Tensor
    sin: Tensor
    visible: Tensor | None
    start: Tensor | None

    def of(self, rows: Tensor) -> Places:
        """The same places in these rows, int64[B, 1]."""
        start = None if self.start is None else self.start.expand(rows.shape[0]).contiguous()
        return replace(self, rows=rows, start=start)


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    wide = x.float()
    wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)
    return weight * wide.to(x.dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-right, left), dim=-1) * sin


class Layer:
    """One layer's weights, fused. Takes them over from a layer of `qwen_tts`, which is of no use afterwards."""

    def __init__(self, source: Any, stack: Stack, kernel: str) -> None:
        attention, mlp = source.self_attn, source.mlp
        self.qkv = fused(attention.q_proj, attention.k_proj, attention.v_proj)
        self.out = fused(attention.o_proj)
        self.gate_up = fused(mlp.gate_proj, mlp.up_proj)
        self.down = fused(mlp.down_proj)
        self.q_norm, self.k_norm = fused(attention.q_norm), fused(attention.k_norm)
        self.before_attention = fused(source.input_layernorm)
        self.before_mlp = fused(source.post_attention_layernorm)
        self.stack, self.kernel = stack, kernel
        del source.self_attn, source.mlp  # so that weights are never twice in memory but for one layer

    @property
    def weights(self) -> list[Tensor]:
        norms = [self.q_norm, self.k_norm, self.before_attention, self.before_mlp]
        return [self.qkv, self.out, self.gate_up, self.down, *norms]

    def __call__(self, x: Tensor, places: Places, cache: Cache) -> Tensor:
        x = x + self._attend(rms_norm(x, self.before_attention, self.stack.epsilon), places, cache)
        gate, up = linear(rms_norm(x, self.before_mlp, self.stack.epsilon), self.gate_up).chunk(2, dim=-1)
        return x + linear(silu(gate) * up, self.down)

    def _attend(self, x: Tensor, places: Places, cache: Cache) -> Tensor:
        stack, (keys, values) = self.stack, cache
        heads = linear(x, self.qkv).unflatten(-1, (-1, stack.head_dim))
        q, k, v = heads.split((stack.heads, stack.kv_heads, stack.kv_heads), dim=2)
        q = rotate(rms_norm(q, self.q_norm, stack.epsilon), places.cos, places.sin)
        k = rotate(rms_norm(k, self.k_norm, stack.epsilon), places.cos, places.sin)
        if self.kernel == FLASH and places.start is not None:
            return linear(flash_look_back(q, k, v.contiguous(), keys, values, places.start), self.out)
        keys.index_put_((places.rows, places.positions), k)
        values.index_put_((places.rows, places.positions), v)
        return linear(look_back(q, keys, values, places.visible), self.out)


class Transformer:
    """Layers and the norm after them, with the table of the rotary embedding for `positions` positions."""

    def __init__(self, source: Any, stack: Stack, positions: int, kernel: str) -> None:
        self.layers = [Layer(layer, stack, kernel) for layer in source.layers]
        self.norm = fused(source.norm)
        self.stack, self.kernel = stack, kernel
        exponents = torch.arange(0, stack.head_dim, 2, dtype=torch.int64).float() / stack.head_dim
        angles = torch.outer(torch.arange(positions).float(), 1.0 / stack.rope_theta**exponents)
        table = torch.cat((angles, angles), dim=-1)
        self.cos = table.cos().to(self.norm.device, self.norm.dtype)
        self.sin = table.sin().to(self.norm.device, self.norm.dtype)

    @property
    def weights(self) -> list[Tensor]:
        return [self.norm, *(weight for layer in self.layers for weight in layer.weights)]

    def __call__(self, x: Tensor, places: Places, caches: Sequence[Cache]) -> Tensor:
        """x: [B, T, hidden] → [B, T, hidden], normed."""
        for layer, cache in zip(self.layers, caches, strict=True):
            x = layer(x, places, cache)
        return rms_norm(x, self.norm, self.stack.epsilon)


def fused(*parts: Any) -> Tensor:
    """The weights of modules, one above the other."""
    weights = [part.weight.detach() for part in parts]
    return weights[0] if len(weights) == 1 else torch.cat(weights)
