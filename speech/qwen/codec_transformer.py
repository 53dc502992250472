"""The transformer of the 12 Hz codec decoder, one piece at a time: a sliding window over each stream.

A query sees itself and the `window - 1` frames before it, so that many keys and values are kept per stream, in
a ring: frame p lies in cell p mod (window - 1). Keys carry rotary embeddings at absolute positions (arXiv
2104.09864), so the order of the cells is of no account and nothing is ever moved. Shapes never depend on data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from speech.qwen.codec_wave import Place


@dataclass(frozen=True, slots=True)
class Window:
    """Where a piece of T frames stands, for a batch of B streams; the same for all layers.

    slots: int64[B]. cells: int64[B, kept], where the newest frames go. mask: bool[B, 1, T, ring + T].
    cos, sin: float[B, T, 1, head_dim].
    """

    slots: Tensor
    cells: Tensor
    mask: Tensor
    cos: Tensor
    sin: Tensor


@dataclass(frozen=True, slots=True)
class Seen:
    """The keys and values of a piece, float[layers, 2, B, kept, kv_heads, head_dim], and where they go."""

    slots: Tensor
    cells: Tensor
    values: Tensor

    def remember(self, rings: Tensor) -> None:
        """Write them into the rings. Apart from computing them, so that a piece that fails changes nothing."""
        rings[:, :, self.slots[:, None], self.cells] = self.values


class SlidingTransformer:
    """float[B, T, latent] → float[B, T, latent], each stream going on where it stopped."""

    def __init__(self, upstream: Any, place: Place) -> None:
        self.inward, self.outward = _Linear(place, upstream.input_proj), _Linear(place, upstream.output_proj)
        self.norm = _Norm(upstream.norm, place)
        self.layers = tuple(Layer(layer, place) for layer in upstream.layers)
        self.ring = int(upstream.window_size) - 1
        rope = upstream.rotary_emb
        self.scaling = float(rope.attention_scaling)
        self.inv_freq = rope.inv_freq.detach().to(place(rope.inv_freq).device, torch.float32, copy=True)

    def ring_shape(self, slots: int) -> tuple[int, ...]:
        """Of the keys and values of all layers and streams."""
        first = self.layers[0]
        return (len(self.layers), 2, slots, self.ring, first.kv_heads, first.head_dim)

    def __call__(self, x: Tensor, slots: Tensor, positions: Tensor, rings: Tensor) -> tuple[Tensor, Seen]:
        """slots, positions: int64[B], the streams and their frames so far. rings: of `ring_shape`, read only."""
        window = self._window(x, slots, positions)
        x = self.inward(x)
        seen: list[Tensor] = []
        for layer, ring in zip(self.layers, rings.unbind(), strict=True):
            x, newest = layer(x, window, ring)
            seen.append(newest)
        return self.outward(self.norm(x)), Seen(slots, window.cells, torch.stack(seen))

    def _window(self, x: Tensor, slots: Tensor, positions: Tensor) -> Window:
        ring, length = self.ring, x.shape[1]
        cells = torch.arange(ring, device=x.device)
        now = positions[:, None] + torch.arange(length, device=x.device)  # [B, T]
        newest = positions[:, None] - 1
        past = newest - torch.remainder(newest - cells, ring)  # the frame in each cell, below 0 where none is
        frames = torch.cat((past, now), dim=1)[:, None, :]
        query = now[:, :, None]
        mask = (frames >= 0) & (frames <= query) & (frames >= query - ring)
        angles = now[..., None].float() * self.inv_freq
        angles = torch.cat((angles, angles), dim=-1)[:, :, None, :]
        return Window(
            slots=slots,
            cells=torch.remainder(now[:, max(0, length - ring) :], ring),
            mask=mask[:, None],
            cos=(angles.cos() * self.scaling).to(x.dtype),
            sin=(angles.sin() * self.scaling).to(x.dtype),
        )


class Layer:
    """Attention and a gated perceptron, each scaled before it joins the residual (arXiv 2103.17239)."""

    def __init__(self, upstream: Any, place: Place) -> None:
        attention, mlp = upstream.self_attn, upstream.mlp
        self.head_dim = int(attention.head_dim)
        self.heads = int(attention.config.num_attention_heads)
        self.kv_heads = int(attention.config.num_key_value_heads)
        self.before_attention = _Norm(upstream.input_layernorm, place)
        self.qkv = _Linear(place, attention.q_proj, attention.k_proj, attention.v_proj)
        self.out = _Linear(place, attention.o_proj, scale=upstream.self_attn_layer_scale.scale)
        self.before_mlp = _Norm(upstream.post_attention_layernorm, place)
        self.gate_up = _Linear(place, mlp.gate_proj, mlp.up_proj)
        self.down = _Linear(place, mlp.down_proj, scale=upstream.mlp_layer_scale.scale)
        self.activation = mlp.act_fn

    def __call__(self, x: Tensor, window: Window, ring: Tensor) -> tuple[Tensor, Tensor]:
        """x: float[B, T, hidden]. ring: float[2, slots, ring, kv_heads, head_dim]. Also gives the newest keys and
        values: float[2, B, kept, kv_heads, head_dim].
        """
        attended, newest = self._attend(self.before_attention(x), window, ring)
        x = x + attended
        gate, up = self.gate_up(self.before_mlp(x)).chunk(2, dim=-1)
        return x + self.down(self.activation(gate) * up), newest

    def _attend(self, x: Tensor, window: Window, ring: Tensor) -> tuple[Tensor, Tensor]:
        batch, length, _ = x.shape
        heads = self.qkv(x).view(batch, length, -1, self.head_dim)
        query, key, value = heads.split((self.heads, self.kv_heads, self.kv_heads), dim=2)
        seen = (_rotate(key, window), value)
        joined = [torch.cat((cells[window.slots], new), dim=1) for cells, new in zip(ring, seen, strict=True)]
        newest = torch.stack([new[:, length - window.cells.shape[1] :] for new in seen])
        y = functional.scaled_dot_product_attention(
            _rotate(query, window).transpose(1, 2),
            joined[0].transpose(1, 2),
            joined[1].transpose(1, 2),
            attn_mask=window.mask,
            enable_gqa=self.heads != self.kv_heads,
        )
        return self.out(y.transpose(1, 2).reshape(batch, length, -1)), newest


class _Linear:
    """Projections of one input as one, with a layer scale multiplied in."""

    def __init__(self, place: Place, *upstream: Any, scale: Tensor | None = None) -> None:
        weight = torch.cat([linear.weight.detach() for linear in upstream])
        bias = None if upstream[0].bias is None else torch.cat([linear.bias.detach() for linear in upstream])
        if scale is not None:
            weight = weight * scale.detach()[:, None]
            bias = None if bias is None else bias * scale.detach()
        self.weight, self.bias = place(weight), None if bias is None else place(bias)

    def __call__(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight, self.bias)


class _Norm:
    """RMS norm, in float32 whatever the precision (arXiv 1910.07467)."""

    def __init__(self, upstream: Any, place: Place) -> None:
        self.weight, self.epsilon = place(upstream.weight), float(upstream.variance_epsilon)

    def __call__(self, x: Tensor) -> Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.epsilon)
        return self.weight * wide.to(x.dtype)


def _rotate(x: Tensor, window: Window) -> Tensor:
    """x: float[B, T, heads, head_dim], the two halves of a head as one complex number."""
    first, second = x.chunk(2, dim=-1)
    return x * window.cos + torch.cat((-second, first), dim=-1) * window.sin
