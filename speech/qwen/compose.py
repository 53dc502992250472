"""What the talker reads before it speaks: text, language, voice and style as one sequence of embeddings.

The layout is `qwen_tts`'s own, position for position; text and codec embeddings are added, not concatenated.
With a preset or designed voice the whole text is read first; a clone reads one text token with every frame it
says (as upstream does by default), so what is left of the text comes back beside the prompt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from speech.languages import LANGUAGES
from speech.qwen.frame import Frame


@dataclass(frozen=True, slots=True)
class VoicePrompt:
    """What a reference recording becomes: biometric, in memory only.

    embedding: [H], of the speaker. codes: int64[frames, groups] with a transcript (in-context learning), else
    None (x-vector). transcript_ids: int64[1, n].
    """

    embedding: Tensor = field(repr=False)
    codes: Tensor | None = field(default=None, repr=False)
    transcript_ids: Tensor | None = field(default=None, repr=False)

    def erase(self) -> None:
        """Overwrite with zeros: freed memory keeps its contents."""
        with torch.inference_mode():
            for tensor in (self.embedding, self.codes, self.transcript_ids):
                if tensor is not None:
                    tensor.zero_()


@dataclass(frozen=True, slots=True)
class Prompt:
    """embeddings: [n, H], read before the first frame. text: [m, H], added to the input of frame after frame."""

    embeddings: Tensor = field(repr=False)
    text: Tensor = field(repr=False)


class Composer:
    """Over one checkpoint's embeddings. processor: the tokenizer's. config: the checkpoint's, as loaded."""

    def __init__(self, model: Any, processor: Any, frame: Frame) -> None:
        self._text_embedding = model.talker.model.text_embedding
        self._projection = model.talker.text_projection
        self._processor = processor
        self._frame = frame
        self._config, self._codec = model.config, model.config.talker_config
        self._ignores_style = model.tts_model_size in "0b6"  # as upstream asks
        ids = [self._config.tts_bos_token_id, self._config.tts_eos_token_id]
        self._begin, self._end = self._text(torch.tensor([ids]))
        self._silence = frame.silence[None]

    def clone(self, text: str, language: str, voice: VoicePrompt) -> Prompt:
        ids = self._assistant(text)
        head = self._head(language, None, voice.embedding.to(self._silence.dtype)[None])
        if voice.codes is None or voice.transcript_ids is None:
            bos = self._said([self._codec.codec_bos_id])
            start = torch.cat((self._role(ids), head, self._text(ids[:, 3:4]) + bos))
            return Prompt(start, torch.cat((self._text(ids[:, 4:-5]), self._end[None])))
        spoken = self._text(torch.cat((voice.transcript_ids[:, 3:-2], ids[:, 3:-5]), dim=1))
        spoken = torch.cat((spoken, self._end[None]))
        heard = torch.cat((self._said([self._codec.codec_bos_id]), self._frames(voice.codes)))
        shared = min(len(spoken), len(heard))
        padding = self._silence.expand(len(heard) - shared, -1)
        example = torch.cat((spoken[:shared], padding)) + heard
        rest = spoken[shared:] if len(spoken) > len(heard) else self._silence
        return Prompt(torch.cat((self._role(ids), head, example)), rest)

    def custom(self, text: str, language: str, speaker: str, instruct: str) -> Prompt:
        voice = self._said([self._codec.spk_id[speaker.lower()]])
        return self._preset(text, language, speaker.lower(), voice, "" if self._ignores_style else instruct)

    def design(self, text: str, language: str, instruct: str) -> Prompt:
        return self._preset(text, language, None, None, instruct)

    def transcript_ids(self, transcript: str) -> Tensor:
        return self._tokens(f"<|im_start|>assistant\n{transcript}<|im_end|>\n")

    def _preset(
        self, text: str, language: str, speaker: str | None, voice: Tensor | None, instruct: str
    ) -> Prompt:
        ids = self._assistant(text)
        style = [self._text(self._tokens(f"<|im_start|>user\n{instruct}<|im_end|>\n"))] if instruct else []
        said = torch.cat((self._text(ids[:, 3:-5]), self._end[None]))
        pad, bos = self._said([self._codec.codec_pad_id]), self._said([self._codec.codec_bos_id])
        head = self._head(language, speaker, voice)
        parts = [*style, self._role(ids), head, said + pad, self._silence + bos]
        return Prompt(torch.cat(parts), self._silence)

    def _head(self, language: str, speaker: str | None, voice: Tensor | None) -> Tensor:
        """Language, voice and the place where the text begins."""
        codec = self._codec
        name = LANGUAGES[language].name.lower()
        dialect = codec.spk_is_dialect[speaker] if speaker is not None and name == "chinese" else False
        spoken = codec.codec_language_id[dialect or name]
        marks = [codec.codec_think_id, codec.codec_think_bos_id, spoken, codec.codec_think_eos_id]
        parts = [self._said(marks), *([] if voice is None else [voice]), self._said([codec.codec_pad_id])]
        sequence = torch.cat(parts)
        silence = self._silence.expand(len(sequence) - 1, -1)
        return torch.cat((silence, self._begin[None])) + sequence

    def _role(self, ids: Tensor) -> Tensor:
        return self._text(ids[:, :3])

    def _text(self, ids: Tensor) -> Tensor:
        """int64[1, n] → [n, H]."""
        device = self._frame.silence.device
        with torch.inference_mode():
            embedded: Tensor = self._projection(self._text_embedding(ids.to(device)))[0]
        return embedded

    def _said(self, ids: list[int]) -> Tensor:
        return self._frame.embedding[torch.tensor(ids, device=self._frame.embedding.device)]

    def _frames(self, codes: Tensor) -> Tensor:
        """int64[frames, groups] → [frames, H]: what the talker would have read, had it said them."""
        tables = (self._frame.embedding, *(step.table for step in self._frame.predictor.steps))
        codes = codes.to(self._frame.embedding.device)
        return torch.stack([table[codes[:, i]] for i, table in enumerate(tables)], dim=1).sum(dim=1)

    def _assistant(self, text: str) -> Tensor:
        return self._tokens(f"<|im_start|>assistant\n{text}<|im_end|>\n<|im_start|>assistant\n")

    def _tokens(self, text: str) -> Tensor:
        ids: Tensor = self._processor(text=text, return_tensors="pt", padding=True)["input_ids"]
        return ids if ids.dim() == 2 else ids[None]
