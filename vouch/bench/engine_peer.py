"""The published package, `qwen-tts`, on the same checkpoint, text, device, precision and number of frames.

It gets what suits it best: one static batch of all utterances, and as many threads as make that batch quickest. It
has no streaming output, so its first audio is its last.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from speech.engine import SAMPLE_RATE, Mode
from speech.qwen.model import choose_placement
from speech.qwen.threads import quickest
from vouch.bench.engine_load import FRAME, Turn, Work
from vouch.bench.engine_requests import REFERENCE_S, STYLE, TEXT, TRANSCRIPT
from vouch.bench.house import hum

_SAMPLE: Final = 8  # frames that are enough to tell how many threads are quickest


class QwenTts:
    """A checkpoint as `qwen-tts` loads it."""

    def __init__(self, checkpoint: Path, mode: Mode, *, device: str, dtype: str) -> None:
        import torch

        from foundation.torchaudio_cpu import import_torchaudio

        import_torchaudio()
        from qwen_tts import Qwen3TTSModel

        placement = choose_placement(device, dtype, None)
        self._torch = torch
        self._mode = mode
        self._most = torch.get_num_threads()
        self._tts: Any = Qwen3TTSModel.from_pretrained(
            str(checkpoint),
            device_map=placement.device,
            dtype=getattr(torch, placement.dtype),
            local_files_only=True,
        )
        talker = self._tts.model.talker
        talker.generation_config.pad_token_id = (
            self._tts.model.config.talker_config.codec_eos_token_id
        )  # else a log
        self._seeds = itertools.count(1)

    def work(self, *, streams: int, frames: int) -> Work:
        texts = [TEXT] * streams
        generate = self._generator(texts, frames)
        threads = quickest(self._generator(texts, min(frames, _SAMPLE)), self._most)

        def speak() -> Turn:
            self._torch.set_num_threads(threads)
            self._torch.manual_seed(next(self._seeds))
            began = time.perf_counter()
            waves, _ = generate()
            seconds = time.perf_counter() - began
            return Turn(sum(len(wave) for wave in waves) / FRAME, seconds, (seconds,) * streams, 0)

        return speak

    def _generator(self, texts: list[str], frames: int) -> Callable[[], Any]:
        tts = self._tts
        # The last token's other codes are never made, so one more token than frames.
        same = {"text": texts, "language": ["English"] * len(texts), "max_new_tokens": frames + 1}
        match self._mode:
            case "clone":
                recording = (hum(REFERENCE_S), SAMPLE_RATE)
                prompt = tts.create_voice_clone_prompt(ref_audio=recording, ref_text=TRANSCRIPT)
                return lambda: tts.generate_voice_clone(voice_clone_prompt=prompt * len(texts), **same)
            case "custom":
                speaker = tts.get_supported_speakers()[0]
                return lambda: tts.generate_custom_voice(speaker=[speaker] * len(texts), **same)
            case "design":
                return lambda: tts.generate_voice_design(instruct=[STYLE] * len(texts), **same)
