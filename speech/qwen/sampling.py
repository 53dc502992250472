"""Choosing a code from logits, on the device and for every slot by its own parameters.

As `transformers` samples: repetition penalty (arXiv 1909.05858), suppression, temperature, top-k, top-p; then,
instead of a draw from shared state, the Gumbel-max trick (arXiv 1611.01144): argmax of score plus noise is a
draw from the softmax. The noise is a hash of seed, frame, step and code (a counter-based generator, Salmon et
al. 2011): no state, so neither batch nor neighbours can change what a request draws. Noise 0 is greedy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

_MASK: Final = 0xFFFFFFFF
_GOLDEN: Final = 0x9E3779B1


@dataclass(frozen=True, slots=True)
class Draw:
    """How one slot draws. top_k: at least 1, at most the runner's limit. greedy: the likeliest code always."""

    temperature: float = 0.9
    top_k: int = 50
    top_p: float = 1.0
    greedy: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """What every choice of one kind is compiled for. widest: candidates looked at, the largest top-k.

    nucleus: whether any top-p is below 1. measured: whether the winners' lead is wanted, which costs a sort.
    """

    widest: int
    nucleus: bool = False
    measured: bool = False


@dataclass(frozen=True, slots=True)
class Draws:
    """`Draw` of every row. rates: float32[B, 3], temperature, top-p, noise. top_k: int64[B, 1]."""

    rates: Tensor
    top_k: Tensor


def mix(x: Tensor) -> Tensor:
    """A 32-bit integer hash with full avalanche, in int64 without overflow (its multipliers are below 2³¹)."""
    x = ((x ^ (x >> 16)) * 0x21F0AAAD) & _MASK
    x = ((x ^ (x >> 15)) * 0x735A2D97) & _MASK
    return x ^ (x >> 15)


@dataclass(frozen=True, slots=True)
class Stream:
    """Where every row's noise comes from. seed: int64[B, 2], halves below 2³². frame: int64[B]."""

    seed: Tensor
    frame: Tensor
    steps: int  # choices in a frame

    def key(self, step: Tensor) -> Tensor:
        """int64[B, 1]: the key of one choice; step: int64[1], 0 … steps−1."""
        low, high = self.seed.split(1, dim=1)
        counter = self.frame[:, None] * self.steps + step
        return mix(mix(mix((counter * _GOLDEN) & _MASK) ^ low) ^ high)


def gumbel(key: Tensor, code: Tensor) -> Tensor:
    """float32: standard Gumbel noise of (key, code)."""
    bits = mix(mix(key ^ ((code * _GOLDEN) & _MASK))) >> 8
    uniform = (bits.float() + 0.5) * 2.0**-24
    return -torch.log(-torch.log(uniform))


def penalise(logits: Tensor, seen: Tensor, penalty: Tensor) -> Tensor:
    """Push what was said towards less likely. logits: float32[B, V]; seen: bool[B, V]; penalty: [B, 1]."""
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def choose(logits: Tensor, choice: Choice, draws: Draws, key: Tensor) -> tuple[Tensor, Tensor]:
    """(codes int64[B], leads float32[B]) of float32[B, V] logits; key: int64[B, 1].

    A lead is how far the winner was before the runner-up, in logits; anything finite where it is not measured, and
    never finite where the logits are not.
    """
    temperature, top_p, noise = draws.rates.split(1, dim=1)
    scores, codes = torch.topk(logits, choice.widest, dim=-1)
    best = scores[:, 0]  # topk puts what is not a number first
    scores = scores / temperature
    rank = torch.arange(choice.widest, device=logits.device)
    scores = torch.where(rank < draws.top_k, scores, -torch.inf)
    if choice.nucleus:
        likely = torch.softmax(scores, dim=-1)
        before = torch.cumsum(likely, dim=-1) - likely
        # The likeliest always stays, whatever rounding makes of the sum before it.
        scores = torch.where((before < top_p) | (rank == 0), scores, -torch.inf)
    scores = scores + gumbel(key, codes) * noise
    chosen = torch.gather(codes, 1, scores.argmax(dim=-1, keepdim=True))[:, 0]
    return chosen, _lead(scores, temperature, best) if choice.measured else best


def _lead(scores: Tensor, temperature: Tensor, best: Tensor) -> Tensor:
    first, second = torch.topk(scores, 2, dim=-1).values.unbind(-1)
    lead = ((first - second) * temperature[:, 0]).clamp(max=1e30)
    return torch.where(torch.isfinite(best), lead, torch.nan)
