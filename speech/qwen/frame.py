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
from speech.qwen.sampling import Choice, Draws, Stream, choose, penalise
from speech.qwen.shape import Shape
from speech.qwen.slots import State
from speech.qwen.transformer import Places, Transformer, fused

# What a frame says of each row, in column 0; the codes follow.
IDLE, SPOKE, ENDED, BROKEN = range(4)
_CONTROL_IDS: Final = 1024  # the last ids of the talker's vocabulary are commands, never codes


class Frame:
    """The models of a frame. silence: [H], the padding embedding, added once the text is all read.

    choices: of the first code, and of the others.
    """

    def __init__(
        self,
        talker: Any,
        shape: Shape,
        positions: int,
        silence: Tensor,
        choices: tuple[Choice, Choice],
        kernel: str,
    ) -> None:
        """Takes the weights over from `qwen_tts`'s talker."""
        self.shape, self.kernel, self.choices = shape, kernel, choices
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
        own = [self.embedding, self.head, self.silence]
        every = [*self.talker.weights, *self.predictor.weights, *own]
        return sum({id(tensor): tensor.nbytes for tensor in every}.values())

    def __call__(self, state: State) -> tuple[Tensor, Tensor]:
        """int64[B, 1+groups] status and codes, float32[B, groups] leads; moves the active rows on by a frame."""
        stream = Stream(state.seed, state.step, self.shape.groups)
        hidden = self.talker(state.input[:, None], self._places(state), state.talker)[:, 0]
        first, lead = choose(
            self._logits(hidden, state), self.choices[0], _draws(state, 0), stream.key(self.zero)
        )
        others, leads, said = self.predictor(
            hidden, self.embedding[first], state.predictor, self.choices[1], _draws(state, 1), stream
        )
        sure = torch.stack((lead, *leads), dim=1)
        sound = torch.isfinite(sure).all(dim=1)
        ended = first == self.eos
        status = torch.where(sound, torch.where(ended, ENDED, SPOKE), BROKEN)
        status = torch.where(state.active, status, IDLE)
        heard = torch.stack(said, dim=1).sum(dim=1) + self._text(state)
        _advance(state, status == SPOKE, first, heard)
        return torch.stack((status, first, *others), dim=1), sure

    def _logits(self, hidden: Tensor, state: State) -> Tensor:
        """float32[B, vocabulary]: of the first code, or the end of speech."""
        logits = penalise(linear(hidden, self.head).float(), state.seen, state.rates[:, 6:7])
        ids = torch.arange(self.shape.vocabulary, device=logits.device)
        too_early = (ids == self.eos) & (state.step < state.counts[:, 2])[:, None]
        return torch.where(self.allowed & ~too_early, logits, -torch.inf)

    def _text(self, state: State) -> Tensor:
        """[B, H]: the text that is read with this frame, or silence."""
        rows = torch.arange(state.step.shape[0], device=state.step.device)
        at = state.step.clamp(max=state.text.shape[1] - 1)
        reading = state.step < state.text_length
        return torch.where(reading[:, None], state.text[rows, at], self.silence)

    def _places(self, state: State) -> Places:
        at = state.position
        rows = torch.arange(at.shape[0], device=at.device)[:, None]
        cos, sin = self.talker.cos[at][:, None, None], self.talker.sin[at][:, None, None]
        if self.kernel == FLASH:
            return Places(rows, at[:, None], cos, sin, None, at.int())
        visible = torch.arange(state.talker[0][0].shape[1], device=at.device) <= at[:, None]
        return Places(rows, at[:, None], cos, sin, visible[:, None, None], None)


def _advance(state: State, going: Tensor, first: Tensor, heard: Tensor) -> None:
    """What becomes of the rows that go on: bool[B]. heard: [B, H], the talker's next input."""
    rows = torch.arange(first.shape[0], device=first.device)
    after = torch.where(going[:, None], heard, state.input)
    seen = state.seen[rows, first] | going
    one = going.long()
    # Nothing is allocated from here on: short of memory, a row has moved on in all of these or in none.
    state.input.copy_(after)
    state.seen.index_put_((rows, first), seen)
    state.position.add_(one)
    state.step.add_(one)
    state.active.copy_(going)


def _draws(state: State, which: int) -> Draws:
    rates = state.rates[:, 3 * which : 3 * which + 3]
    return Draws(rates, state.counts[:, which : which + 1])
