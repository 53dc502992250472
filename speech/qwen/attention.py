"""Attention over the slots' static key-value cache: write the newest keys and values, then look back.

Cache layout: [slots, positions, kv_heads, head_dim], the one that flash-attn's kernels read. Positions past a
slot's own are masked here and skipped there, so what another request left behind can never be seen.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

FLASH: Final = "flash-attn"
SDPA: Final = "sdpa"


def best_kernel(device: torch.device, dtype: torch.dtype) -> str:
    """flash-attn where it is installed and can run (half precision on CUDA), else SDPA."""
    halves = (torch.bfloat16, torch.float16)
    return FLASH if device.type == "cuda" and dtype in halves and find_spec("flash_attn") else SDPA


def look_back(queries: Tensor, keys: Tensor, values: Tensor, visible: Tensor | None) -> Tensor:
    """SDPA. queries: [B, T, heads, D]; keys, values: [B, L, kv_heads, D]; visible: bool[B, 1, rows, L].

    All heads of a group look at the same keys, so they go in as rows of one head: nothing is repeated, and
    for one token a mask of one row serves them all. With more tokens the mask has heads/kv_heads × T rows.
    """
    batch, tokens, heads, width = queries.shape
    shared = keys.shape[2]
    rows = queries.reshape(batch, tokens, shared, heads // shared, width).permute(0, 2, 3, 1, 4)
    seen = scaled_dot_product_attention(
        rows.reshape(batch, shared, -1, width),
        keys.transpose(1, 2),
        values.transpose(1, 2),
        attn_mask=visible,
    )
    back = seen.reshape(batch, shared, heads // shared, tokens, width).permute(0, 3, 1, 2, 4)
    return back.reshape(batch, tokens, heads * width)


def _flash(
    queries: Tensor, new_keys: Tensor, new_values: Tensor, keys: Tensor, values: Tensor, start: Tensor
) -> Tensor:
    """flash-attn: writes the new keys and values at `start` (int32[B]) and attends, reading no more than that."""
    from flash_attn import flash_attn_with_kvcache  # type: ignore[import-not-found]

    seen: Tensor = flash_attn_with_kvcache(
        queries, keys, values, k=new_keys, v=new_values, cache_seqlens=start, causal=True
    )
    return seen.flatten(2)


def _flash_shape(
    queries: Tensor, new_keys: Tensor, new_values: Tensor, keys: Tensor, values: Tensor, start: Tensor
) -> Tensor:
    return queries.new_empty(queries.shape[0], queries.shape[1], queries.shape[2] * queries.shape[3])


# A custom operator, as the package's own would break the frame's graph.
flash_look_back = torch.library.custom_op("vouch::flash_look_back", _flash, mutates_args=("keys", "values"))
flash_look_back.register_fake(_flash_shape)
