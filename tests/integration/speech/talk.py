"""Codes from a runner without an engine around it, and from `qwen_tts` itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from foundation.torchaudio_cpu import import_torchaudio
from speech.config import Checkpoint
from speech.qwen.checkpoint import find_checkpoint
from speech.qwen.compose import Prompt
from speech.qwen.frame import SPOKE
from speech.qwen.model import Placement, QwenModel
from speech.qwen.runner import Runner
from speech.qwen.sampling import Draw
from speech.qwen.slots import Sampling

POSITIONS: Final = 1024
TIE: Final = 1e-5  # logits closer than this may be told apart differently by kernels of another shape
GREEDY: Final = Sampling(Draw(greedy=True), Draw(greedy=True))


def load(folder: Path, kind: Any) -> QwenModel:
    found = find_checkpoint(Checkpoint(source=str(folder)), kind, offline=True)
    model = QwenModel(found, Placement("cpu", "float32"), positions=POSITIONS)
    first, others = model.frame.choices
    model.frame.choices = (replace(first, measured=True), replace(others, measured=True))
    return model


@dataclass
class Take:
    """codes: int64[frames, groups]; leads likewise, float32."""

    codes: list[Tensor]
    leads: list[Tensor]

    def differs(self, other: list[Tensor] | Take) -> tuple[int, int, float] | None:
        """(frame, group, lead) of the first code that is another one; None when all are equal."""
        codes = other.codes if isinstance(other, Take) else other
        for frame, (ours, theirs) in enumerate(zip(self.codes, codes, strict=False)):
            if not torch.equal(ours, theirs):
                group = int((ours != theirs).nonzero()[0])
                return frame, group, float(self.leads[frame][group])
        if len(self.codes) != len(codes):
            return min(len(self.codes), len(codes)), 0, float("inf")
        return None


class Talk:
    """One request in one slot."""

    def __init__(self, runner: Runner, slot: int, prompt: Prompt, seed: int, sampling: Sampling) -> None:
        self.runner, self.slot, self.left = runner, slot, prompt.embeddings
        self.take = Take([], [])
        self.ended = False
        runner.open(slot, prompt.text, seed, sampling)

    def read(self, chunk: int = 32) -> bool:
        """One chunk of the prompt; True when the slot speaks."""
        part, self.left = self.left[:-1][:chunk], self.left[len(self.left[:-1][:chunk]) :]
        if len(part):
            self.runner.prefill(self.slot, part)
        if len(self.left) > 1:
            return False
        self.runner.start(self.slot, self.left[0])
        return True

    def hear(self, status: int, codes: Tensor, leads: Tensor) -> None:
        self.ended = status != SPOKE
        if not self.ended:
            self.take.codes.append(codes)
            self.take.leads.append(leads)


def alone(
    runner: Runner, prompt: Prompt, frames: int, *, seed: int = 0, sampling: Sampling = GREEDY, slot: int = 0
) -> Take:
    talk = Talk(runner, slot, prompt, seed, sampling)
    while not talk.read():
        pass
    while len(talk.take.codes) < frames and not talk.ended:
        decoded = runner.decode([slot])
        talk.hear(decoded.status[slot], decoded.codes[slot], decoded.leads[slot])
    runner.release(slot)
    return talk.take


def upstream(folder: Path) -> Any:
    """`qwen_tts` itself."""
    import_torchaudio()
    from qwen_tts import Qwen3TTSModel

    tts = Qwen3TTSModel.from_pretrained(str(folder), dtype=torch.float32, local_files_only=True)
    eos = tts.model.config.talker_config.codec_eos_token_id
    tts.model.talker.generation_config.pad_token_id = eos  # else a line on every call
    tts.model.speech_tokenizer.decode = lambda codes: ([code["audio_codes"] for code in codes], 24_000)
    return tts


@contextmanager
def codes_of(tts: Any) -> Iterator[list[list[Tensor]]]:
    """What its generations said, one list of frames after the other."""
    said: list[list[Tensor]] = []
    generate = tts.model.generate

    def listen(*args: Any, **settings: Any) -> Any:
        result = generate(*args, **settings)
        said.extend(list(codes) for codes in result[0])
        return result

    tts.model.generate = listen
    try:
        yield said
    finally:
        tts.model.generate = generate
