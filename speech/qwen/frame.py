"""One codec frame for a batch of slots, as one function of tensors: what is compiled, or captured as a CUDA graph.

talker step → first code (or the end of speech) → code predictor → the other codes → the talker's next input.
Nothing here asks the device for a value, and no Python branch depends on one: a frame costs the same whoever is
in it. A row that is not active computes along and changes nothing.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.functional import linear

from speech.qwen.attention import FLASH
from speech.qwen.predictor import CodePredictor
from speech.qwen.sampling import Draws, Stream, choose, penalise
from speech.qwen.shape import Shape
from speech.qwen.slots import State
from speech.qwen.transformer import Places, Transformer, fused

# What a frame says of each row, in column 0; the codes follow.
IDLE, SPOKE, ENDED, BROKEN = range(4)
_CONTROL_IDS: Final = 1024  # the last ids of the talker's vocabulary are commands, never codes


class Frame:
    """The models of a frame. silence: [H], the padding embedding, added once the text is all read.

    widest: how many candidates for a first code and for the others are looked at, the largest top-k.
    """

    def __init__(
        self,
        talker: Any,
        shape: Shape,
        positions: int,
        silence: Tensor,
        widest: tuple[int, int],
        kernel: str,
    ) -> None:
        """Takes the weights over from `qwen_tts`'s talker."""
        self.shape, self.kernel, self.widest = shape, kernel, widest
        self.talker = Transformer(talker.model, shape.talker, positions, kernel)
        self.predictor = CodePredictor(talker.code_predictor, shape, kernel)
        self.embedding = fused(talker.model.codec_embedding)
        self.head = fused(talker.codec_head)
        self.silence = silence
        self.eos = int(talker.config.codec_eos_token_id)
        allowed = torch.arange(shape.vocabulary) < shape.vocabulary - _CONTROL_IDS
        allowed[self.eos] = True
        self.allowed = allowed.to(silence.device)
        self.zero = torch.zeros(1, dtype=torch.int64, device=silence.device)

    @property
    def nbytes(self) -> int:
        """Of all weights; a tensor that serves twice counts once."""
        predictor = self.predictor
        tables = [*predictor.tables, *predictor.inputs, *predictor.heads, *predictor.projection.parameters()]
        every = [
            *self.talker.weights,
            *predictor.stack.weights,
            *tables,
            self.embedding,
            self.head,
            self.silence,
        ]
        return sum({id(tensor): tensor.nbytes for tensor in every}.values())

    def __call__(self, state: State) -> tuple[Tensor, Tensor]:
        """int64[B, 1+groups] status and codes, float32[B, groups] margins; moves the active rows on by a frame."""
        stream = Stream(state.seed, state.step, self.shape.groups)
        hidden, first, margin, spoken = self.say_first(state, stream)
        draws = self._draws(state, 1)
        codes, margins, said = self.predictor(hidden, spoken, state.predictor, draws, stream)
        return self.advance(state, [first, *codes], [margin, *margins], said)

    def say_first(self, state: State, stream: Stream) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The talker's step: its hidden state [B, H], the first code or end of speech, margin, embedding."""
        hidden = self.talker(state.input[:, None], self._places(state), state.talker)[:, 0]
        logits = penalise(linear(hidden, self.head).float(), state.seen, state.rates[:, 6:7])
        ids = torch.arange(self.shape.vocabulary, device=logits.device)
        too_early = (ids == self.eos) & (state.step < state.counts[:, 2])[:, None]
        logits = torch.where(self.allowed & ~too_early, logits, -torch.inf)
        first, margin = choose(logits, self._draws(state, 0), stream.key(self.zero))
        return hidden, first, margin, self.embedding[first]

    def advance(
        self, state: State, codes: list[Tensor], margins: list[Tensor], said: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """What becomes of each row: its status, and for those that go on the talker's next input."""
        first = codes[0]
        sure = torch.stack(margins, dim=1)
        sound = ~torch.isnan(sure).any(dim=1)
        ended = first == self.eos
        going = state.active & sound & ~ended
        status = torch.where(sound, torch.where(ended, ENDED, SPOKE), BROKEN)
        table = torch.stack((torch.where(state.active, status, IDLE), *codes), dim=1)

        rows = torch.arange(first.shape[0], device=first.device)
        reading = state.step < state.text_length
        last = state.text.shape[1] - 1
        text = torch.where(reading[:, None], state.text[rows, state.step.clamp(max=last)], self.silence)
        heard = torch.stack(said, dim=1).sum(dim=1) + text
        state.input.copy_(torch.where(going[:, None], heard, state.input))
        state.seen[rows, first] = state.seen[rows, first] | going
        state.position.add_(going.long())
        state.step.add_(going.long())
        state.active.copy_(going)
        return table, sure

    def _draws(self, state: State, which: int) -> Draws:
        return Draws(
            rates=state.rates[:, 3 * which : 3 * which + 3],
            top_k=state.counts[:, which : which + 1],
            widest=self.widest[which],
        )

    def _places(self, state: State) -> Places:
        at = state.position
        rows = torch.arange(at.shape[0], device=at.device)[:, None]
        cos, sin = self.talker.cos[at][:, None, None], self.talker.sin[at][:, None, None]
        if self.kernel == FLASH:
            return Places(rows, at[:, None], cos, sin, None, at.int())
        visible = torch.arange(state.talker[0][0].shape[1], device=at.device) <= at[:, None]
        return Places(rows, at[:, None], cos, sin, visible[:, None, None], None)
