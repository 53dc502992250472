"""The code predictor: from the talker's hidden state and a frame's first code, the frame's other codes.

One step a code, fifteen of them, each with its own embedding table and head. The loop is unrolled: its length is
part of the model, nothing in it waits for a result. Embeddings are projected to the predictor's width once, when
the model is loaded, instead of at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from speech.qwen.attention import FLASH
from speech.qwen.sampling import Draws, Stream, choose
from speech.qwen.shape import Shape
from speech.qwen.transformer import Cache, Places, Transformer, fused


class CodePredictor:
    """tables: per code, [codes, H], what it adds to the talker's next input. H: the talker's width."""

    def __init__(self, source: Any, shape: Shape, kernel: str) -> None:
        """Takes the weights over from `qwen_tts`'s code predictor."""
        self.stack = Transformer(source.model, shape.predictor, shape.groups, kernel)
        self.projection = source.small_to_mtp_projection
        # Every step has tensors of its own, never slices of one: all steps are then the same to the compiler.
        self.tables = [fused(table) for table in source.model.codec_embedding]
        self.heads = [fused(head) for head in source.lm_head]
        same_width = shape.predictor.hidden == shape.talker.hidden
        self.inputs = self.tables if same_width else [self.projection(table) for table in self.tables]
        spans = [(0, 2), *((step, step + 1) for step in range(2, shape.groups))]
        self.at = [torch.arange(*span, device=self.tables[0].device) for span in spans]
        self.groups, self.kernel = shape.groups, kernel

    def __call__(
        self, hidden: Tensor, first: Tensor, caches: Sequence[Cache], draws: Draws, stream: Stream
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Per step the codes, int64[B], and their margins; per code of the frame what it adds to the talker's
        next input, [B, H].

        hidden, first: [B, H], the talker's state and the first code's embedding. stream: of the noise.
        caches hold one frame and are overwritten from position 0.
        """
        codes: list[Tensor] = []
        margins: list[Tensor] = []
        said = [first]
        x = self.begin(hidden, first)
        for at, head, inputs, table in zip(self.at, self.heads, self.inputs, self.tables, strict=True):
            code, margin, added, x = self.step(x, at, head, inputs, table, caches, draws, stream)
            codes.append(code)
            margins.append(margin)
            said.append(added)
        return codes, margins, said

    def begin(self, hidden: Tensor, first: Tensor) -> Tensor:
        """The input of the first step, two positions: what the talker thought, and what it said."""
        x: Tensor = self.projection(torch.stack((hidden, first), dim=1))
        return x

    def step(
        self,
        x: Tensor,
        at: Tensor,
        head: Tensor,
        inputs: Tensor,
        table: Tensor,
        caches: Sequence[Cache],
        draws: Draws,
        stream: Stream,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One code: int64[B], its margin, what it adds to the talker's next input, the next step's input."""
        state = self.stack(x, self._places(x, at), caches)[:, -1]
        code, margin = choose(linear(state, head).float(), draws, stream.key(at[-1:]))
        return code, margin, table[code], inputs[code][:, None]

    def _places(self, x: Tensor, at: Tensor) -> Places:
        stack, (batch, tokens, _) = self.stack, x.shape
        rows = torch.arange(batch, device=x.device)[:, None]
        cos, sin = stack.cos[at][:, None], stack.sin[at][:, None]
        positions = at.expand(batch, tokens)
        if self.kernel == FLASH:
            return Places(rows, positions, cos, sin, None, at[:1].expand(batch).int())
        visible = torch.arange(self.groups, device=x.device) <= at[:, None]
        shared = stack.stack.heads // stack.stack.kv_heads
        return Places(rows, positions, cos, sin, visible.repeat(shared, 1)[None, None], None)
