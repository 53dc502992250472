"""Codes to samples while they are still being made: the 12 Hz codec decoder with memory.

`qwen_tts` decodes a whole utterance at once, or pieces of it with 25 frames of context decoded again and
thrown away. Here each stream has a slot that keeps exactly what the decoder's causal layers need of the past:
the inputs under every convolution's kernel, and a ring of keys and values. So any cut into pieces gives the
samples of one full decode, each computed once, and streams at different places share a batch.

A slot's memory is a voice: `reset` overwrites all of it. Sizes are fixed at the start, and `step` has no branch
on data: it can be compiled, or captured as a CUDA graph.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from speech.qwen.codec_transformer import SlidingTransformer
from speech.qwen.codec_wave import CausalConv, Place, Tape, Vocoder


class StreamingCodec:
    """`slots` streams at a time over the weights of one `qwen_tts` decoder. Use from one thread.

    One more slot, `idle`, belongs to no stream: rows that only fill up a batch may name it, even many times.
    """

    def __init__(self, decoder: Any, *, slots: int, device: str | torch.device, dtype: torch.dtype) -> None:
        """decoder: a Qwen3TTSTokenizerV2Decoder; copied from, left as it is, and not needed afterwards."""

        def place(weight: Tensor) -> Tensor:
            return weight.detach().to(device, dtype, copy=True)

        self.groups = int(decoder.config.num_quantizers)
        self.samples_per_frame = int(decoder.total_upsample)
        self.idle = slots
        self._dequantise = Dequantiser(decoder.quantizer, place)
        self._pre_conv = CausalConv(decoder.pre_conv, place)
        self._transformer = SlidingTransformer(decoder.pre_transformer, place)
        self._vocoder = Vocoder(decoder, place)

        width = self._pre_conv.width + self._vocoder.width
        self._positions = torch.zeros(slots + 1, dtype=torch.int64, device=device)  # frames so far
        self._tapes = torch.zeros(slots + 1, width, dtype=dtype, device=device)
        self._rings = torch.zeros(self._transformer.ring_shape(slots + 1), dtype=dtype, device=device)

    @property
    def device(self) -> torch.device:
        return self._positions.device

    @property
    def bytes_per_slot(self) -> int:
        state = (self._positions, self._tapes, self._rings)
        return sum(int(part.element_size() * part.numel()) for part in state) // (self.idle + 1)

    def reset(self, slot: int) -> None:
        """Forget the stream in a slot: every number that came from it is overwritten."""
        with torch.inference_mode():
            self._positions[slot] = 0
            self._tapes[slot].zero_()
            self._rings[:, :, slot].zero_()

    def prime(self, slot: int, ref_codes: Tensor) -> None:
        """Begin a stream as the continuation of a reference: int64[groups, T], T ≥ 1, in a slot just reset.

        What follows equals the generated share of one decode of reference and generated codes together.
        """
        # Only the last frames reach samples to come, so only those go through the convolutions.
        audible = min(ref_codes.shape[-1], self._vocoder.reach)
        with torch.inference_mode():
            self._run(ref_codes[None].to(self.device), torch.tensor([slot], device=self.device), audible)

    def decode(self, codes: Tensor, slots: Tensor) -> Tensor:
        """codes: int64[B, groups, T], T ≥ 1, the next frames of B streams. slots: int64[B], no real one twice.

        Returns float32[B, T · samples_per_frame], −1…1.
        """
        with torch.inference_mode():
            return self.step(codes, slots)

    def step(self, codes: Tensor, slots: Tensor) -> Tensor:
        """`decode` without its wrapping: the function to compile or capture (`pieces.py`)."""
        return self._run(codes, slots, audible=codes.shape[-1])

    def nobody(self, rows: int, frames: int) -> tuple[Tensor, Tensor]:
        """Codes and slots for a `step` that concerns no stream."""
        slots = self._positions.new_full((rows,), self.idle)
        return slots.new_zeros(rows, self.groups, frames), slots

    def vary(self) -> None:
        """Tell the compiler that the number of slots is nothing to compile for."""
        for state, slots in ((self._positions, 0), (self._tapes, 0), (self._rings, 2)):
            torch._dynamo.maybe_mark_dynamic(state, slots)

    def _run(self, codes: Tensor, slots: Tensor, audible: int) -> Tensor:
        length = codes.shape[-1]
        begun = self._positions[slots]
        tape = Tape(self._tapes[slots])
        latents = self._pre_conv(self._dequantise(codes), tape).transpose(1, 2)
        latents, seen = self._transformer(latents, slots, begun, self._rings)
        samples = self._vocoder(latents.transpose(1, 2)[..., length - audible :], tape).float()
        ended, remembered = begun + length, tape.rewritten()
        # Memory is written last, all of it or nothing: a call that fails can be made again.
        seen.remember(self._rings)
        self._positions.index_copy_(0, slots, ended)
        self._tapes.index_copy_(0, slots, remembered)
        return samples


class Dequantiser:
    """Residual vector quantisation undone (arXiv 2107.03312): the semantic codebook, and the sum of the others.

    Upstream divides every codebook by its usage at every call and projects the two sums apart; here the
    division is done once and the projections are one.
    """

    def __init__(self, quantizer: Any, place: Place) -> None:
        first, rest = quantizer.rvq_first, quantizer.rvq_rest
        books = [_codebook(layer) for layer in (*first.vq.layers, *rest.vq.layers)]
        self.bins = int(books[0].shape[0])
        self.semantic = len(first.vq.layers)
        self.books = place(torch.cat(books))
        self.offsets = self.bins * torch.arange(len(books), device=self.books.device)[:, None]
        projections = [part.output_proj.weight.detach() for part in (first, rest)]
        self.projection = place(torch.cat(projections, dim=1).squeeze(-1))

    def __call__(self, codes: Tensor) -> Tensor:
        """int64[B, groups, T] → float[B, latent, T]."""
        # An index out of range would end a CUDA process, and with it every stream of the replica.
        rows = functional.embedding(codes.clamp(0, self.bins - 1) + self.offsets, self.books)
        sums = (rows[:, : self.semantic].sum(1), rows[:, self.semantic :].sum(1))  # [B, T, dim] each
        return functional.linear(torch.cat(sums, dim=-1), self.projection).transpose(1, 2)


def _codebook(layer: Any) -> Tensor:
    book = layer._codebook
    return (book.embedding_sum / book.cluster_usage.clamp(min=book.epsilon)[:, None]).detach()
