"""The slots: everything the device keeps of running requests, in buffers that never move.

Row i of every buffer belongs to the request in slot i and to no other. Buffers are allocated once, so a captured
graph finds them; a slot is wiped when it is released, so that nothing of a voice outlives its request and no later
one can hear it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Final

import torch
from torch import Tensor

from speech.qwen.sampling import Draw
from speech.qwen.shape import Shape, Stack
from speech.qwen.transformer import Cache

_WORD: Final = 0xFFFFFFFF
UPSTREAM_MIN_FRAMES: Final = 2  # qwen_tts lets no utterance end before two frames


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a request's codes are drawn. min_frames: no end of speech before as many."""

    first: Draw = field(default_factory=Draw)
    others: Draw = field(default_factory=Draw)
    repetition_penalty: float = 1.05
    min_frames: int = UPSTREAM_MIN_FRAMES


@dataclass(frozen=True, slots=True)
class State:
    """The buffers, or a view of their first rows. S slots, P positions, H the talker's width.

    step counts frames said, position tokens in the cache; input is what the talker reads next; text is added to
    the input of one frame after the other, then the padding embedding; seen marks first codes said before.
    """

    talker: tuple[Cache, ...] = field(repr=False)  # per layer, [S, P, kv_heads, head_dim]
    predictor: tuple[Cache, ...] = field(repr=False)  # per layer, [S, groups, kv_heads, head_dim]
    input: Tensor  # [S, H]
    text: Tensor  # [S, P, H]
    text_length: Tensor  # int64[S]
    position: Tensor  # int64[S]
    step: Tensor  # int64[S]
    active: Tensor  # bool[S]
    seen: Tensor  # bool[S, vocabulary]
    seed: Tensor  # int64[S, 2], low and high word
    counts: Tensor  # int64[S, 3]: top_k of first and others, min_frames
    rates: Tensor  # float32[S, 7]: temperature, top_p, noise of first and of others; repetition penalty

    @classmethod
    def allocate(
        cls, shape: Shape, slots: int, positions: int, device: torch.device, dtype: torch.dtype
    ) -> State:
        def zeros(*size: int, kind: torch.dtype = dtype) -> Tensor:
            return torch.zeros(size, dtype=kind, device=device)

        def cache(stack: Stack, length: int) -> Cache:
            size = (slots, length, stack.kv_heads, stack.head_dim)
            return zeros(*size), zeros(*size)

        talker, predictor = shape.talker, shape.predictor
        state = cls(
            talker=tuple(cache(talker, positions) for _ in range(talker.layers)),
            predictor=tuple(cache(predictor, shape.groups) for _ in range(predictor.layers)),
            input=zeros(slots, talker.hidden),
            text=zeros(slots, positions, talker.hidden),
            text_length=zeros(slots, kind=torch.int64),
            position=zeros(slots, kind=torch.int64),
            step=zeros(slots, kind=torch.int64),
            active=zeros(slots, kind=torch.bool),
            seen=zeros(slots, shape.vocabulary, kind=torch.bool),
            seed=zeros(slots, 2, kind=torch.int64),
            counts=zeros(slots, 3, kind=torch.int64),
            rates=zeros(slots, 7, kind=torch.float32),
        )
        state.wipe(slice(None))
        return state

    def first(self, rows: int, length: int) -> State:
        """The first `rows` slots, their caches cut to `length` positions: what one frame computes on."""
        plain = {item.name: getattr(self, item.name)[:rows] for item in fields(self)[2:]}
        return replace(
            self,
            talker=tuple((k[:rows, :length], v[:rows, :length]) for k, v in self.talker),
            predictor=tuple((k[:rows], v[:rows]) for k, v in self.predictor),
            **plain,
        )

    def wipe(self, slot: int | slice) -> None:
        """Zero everything of a slot; it takes part in frames, if at all, without effect."""
        for tensor in self.tensors:
            tensor[slot] = 0
        self.rates[slot] = 1.0  # no division by a temperature of zero
        self.counts[slot] = 1

    def prepare(self, slot: int, text: Tensor, seed: int, sampling: Sampling) -> None:
        """Set a wiped slot up for a request. text: [n, H], n at most the positions."""
        self.text[slot, : text.shape[0]] = text
        self.text_length[slot] = text.shape[0]
        # One host-to-device copy each, not one per number.
        self.seed[slot] = _tensor([seed & _WORD, seed >> 32 & _WORD], self.seed)
        first, others = sampling.first, sampling.others
        self.counts[slot] = _tensor([first.top_k, others.top_k, sampling.min_frames], self.counts)
        self.rates[slot] = _tensor([*_rates(first), *_rates(others), sampling.repetition_penalty], self.rates)

    @property
    def tensors(self) -> list[Tensor]:
        caches = [tensor for cache in (*self.talker, *self.predictor) for tensor in cache]
        return [*caches, *(getattr(self, item.name) for item in fields(self)[2:])]

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors)


def _rates(draw: Draw) -> tuple[float, float, float]:
    """Temperature, top-p, noise."""
    # Greedy leaves temperature and top-p out, as upstream does; so does sampling with a top-p of 1.
    everything = 2.0  # above any sum of probabilities, however rounded
    if draw.greedy:
        return 1.0, everything, 0.0
    return draw.temperature, draw.top_p if draw.top_p < 1.0 else everything, 1.0


def _tensor(values: list[int] | list[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype).to(like.device, non_blocking=True)
