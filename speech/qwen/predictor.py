"""The code predictor: from the talker's hidden state and a frame's first code, the frame's other codes.

One step a code, fifteen of them, each with its own embedding table and head. The loop is unrolled: its length is
part of the model, nothing in it waits for a result. Embeddings are projected to the predictor's width once, when
the model is loaded, instead of at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from speech.qwen.attention import FLASH
from speech.qwen.sampling import Choice, Draws, Stream, choose
from speech.qwen.shape import Shape
from speech.qwen.transformer import Cache, Places, Transformer, fused


@dataclass(frozen=True, slots=True)
class Step:
    """The weights and constants of one step.

    Every step has tensors of its own, never slices of one: all steps are then the same to the compiler.
    head: [codes, hidden]. inputs: [codes, hidden], the next step's. table: [codes, H], what a code adds to the
    talker's next input. number: int64[1], from 1.
    """

    head: Tensor
    inputs: Tensor
    table: Tensor
    number: Tensor
    places: Places


class CodePredictor:
    """H is the talker's width."""

    def __init__(self, source: Any, shape: Shape, kernel: str) -> None:
        """Takes the weights over from `qwen_tts`'s code predictor."""
        self.stack = Transformer(source.model, shape.predictor, shape.groups, kernel)
        self.projection = source.small_to_mtp_projection
        same_width = shape.predictor.hidden == shape.talker.hidden
        self.steps: list[Step] = []
        for number, (table, head) in enumerate(
            zip(source.model.codec_embedding, source.lm_head, strict=True), 1
        ):
            weight = fused(table)
            inputs = weight if same_width else self.projection(weight)
            at = torch.arange(0 if number == 1 else number, number + 1, device=weight.device)
            places = self._places(at, shape)
            self.steps.append(Step(fused(head), inputs, weight, at[-1:].clone(), places))

    def __call__(
        self,
        hidden: Tensor,
        first: Tensor,
        caches: Sequence[Cache],
        choice: Choice,
        draws: Draws,
        stream: Stream,
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Per step the codes, int64[B], and their leads; per code of the frame what it adds to the talker's
        next input, [B, H].

        hidden, first: [B, H], the talker's state and the first code's embedding. stream: of the noise.
        caches hold one frame and are overwritten from position 0.
        """
        codes: list[Tensor] = []
        leads: list[Tensor] = []
        said = [first]
        batch = hidden.shape[0]
        rows = torch.arange(batch, device=hidden.device)[:, None]
        x: Tensor = self.projection(torch.stack((hidden, first), dim=1))
        for step in self.steps:
            state = self.stack(x, step.places.of(rows), caches)[:, -1]
            code, lead = choose(linear(state, step.head).float(), choice, draws, stream.key(step.number))
            codes.append(code)
            leads.append(lead)
            said.append(step.table[code])
            x = step.inputs[code][:, None]
        return codes, leads, said

    @property
    def weights(self) -> list[Tensor]:
        tables = [tensor for step in self.steps for tensor in (step.head, step.inputs, step.table)]
        return [*self.stack.weights, *self.projection.parameters(), *tables]

    def _places(self, at: Tensor, shape: Shape) -> Places:
        """For the positions of a step, but for the rows."""
        cos, sin = self.stack.cos[at][:, None], self.stack.sin[at][:, None]
        if self.stack.kernel == FLASH:
            return Places(at[:1], at[None], cos, sin, None, at[:1].int())
        visible = torch.arange(shape.groups, device=at.device) <= at[:, None]
        shared = shape.predictor.heads // shape.predictor.kv_heads
        return Places(at[:1], at[None], cos, sin, visible.repeat(shared, 1)[None, None], None)
