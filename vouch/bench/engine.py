"""How many codec frames an engine makes per second, one request at a time; for Qwen3-TTS, beside qwen-tts itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, assert_never

from consent_service.grants import GrantVerifier, Utterance
from consent_service.models import Deny, SpeechClaim
from consent_service.proofs.seams import KeyPurpose
from speech.config import EngineConfig
from speech.engine import (
    SAMPLE_RATE,
    CloneRequest,
    CustomVoiceRequest,
    DesignRequest,
    Mode,
    Reference,
    SpeechEngine,
    SpeechRequest,
)
from speech.errors import EngineUnavailable
from speech.load import load_engine
from speech.text import prepare
from vouch.bench.figures import Figure, Work, rates
from vouch.bench.house import PURPOSE, House, hum, temporary_house
from vouch.output import Failed

FRAME: Final = SAMPLE_RATE * 2 // 25  # samples of one codec frame: 12.5 frames a second
TEXT: Final = "The sun had not yet risen, and the sea was indistinguishable from the sky."
STYLE: Final = "A calm, low voice, unhurried."
MODES: Final[dict[Mode, str]] = {"clone": "base", "custom": "custom_voice", "design": "voice_design"}
_MAX_FRAMES: Final = 128  # checkpoints that know no words never end by themselves


def config_for(name: str, checkpoints: Path | None, device: str) -> EngineConfig:
    """The engine to measure. checkpoints: a folder with base/, custom_voice/ and voice_design/, or some of them.

    Raises EngineUnavailable when engine qwen finds none of them.
    """
    if name == "embedded":
        return EngineConfig(name="embedded")
    found = {} if checkpoints is None else _found(checkpoints)
    if not found:
        wanted = ", ".join(MODES.values())
        raise EngineUnavailable(f"engine qwen needs --checkpoints, a folder with at least one of {wanted}")
    return EngineConfig.model_validate(
        {"name": "qwen", "device": device, "max_frames": _MAX_FRAMES, "on_runaway": "cut", "offline": True, **found}
    )  # fmt: skip


def measure(config: EngineConfig, seconds: float) -> Iterator[Figure]:
    """A figure for each mode that the engine has; `seconds` are shared among them."""
    engine = load_engine(config)
    try:
        engine.warm_up()
        modes = [mode for mode in MODES if mode in engine.info.modes]
        with temporary_house() as house:
            ask = _Asker(engine, house)
            for mode in modes:
                peer = _qwen_tts(config, mode) if config.name == "qwen" else None
                works = [ask.work(mode), *([] if peer is None else [peer])]
                ours, *theirs = rates(works, seconds / len(modes))
                case = f"{config.name}-{_device(config)}-{mode}-1"
                if theirs:
                    yield Figure("engine", case, ours, "frames/s", "qwen-tts", theirs[0])
                else:
                    yield Figure("engine", case, ours, "frames/s")
    finally:
        engine.close()


class _Asker:
    """Asks an engine as a replica does: a clone with a grant that the gate signed for this very text."""

    def __init__(self, engine: SpeechEngine, house: House) -> None:
        self._engine = engine
        self._house = house
        self._verifier = GrantVerifier(house.service.keys.public_keys(KeyPurpose.GRANT))
        self._reference = Reference(hum(4.0), SAMPLE_RATE, "A hum has no words.")
        self._asked = 0

    def work(self, mode: Mode) -> Work:
        said = prepare(TEXT, "en", STYLE if mode == "design" else "")

        def speak() -> float:
            self._asked += 1
            chunks = list(self._engine.start(self._request(mode, said)))
            return sum(chunk.size for chunk in chunks) / FRAME

        return speak

    def _request(self, mode: Mode, said: Utterance) -> SpeechRequest:
        name, seed = f"benchmark-{self._asked}", self._asked
        match mode:
            case "clone":
                return self._clone(said, seed)
            case "custom":
                return CustomVoiceRequest(name, said, self._engine.info.speakers[0], seed)
            case "design":
                return DesignRequest(name, said, seed)
            case _:
                assert_never(mode)

    def _clone(self, said: Utterance, seed: int) -> CloneRequest:
        claim = SpeechClaim(
            "clone", self._house.voice_id, said.language, said.digest(), said.characters, PURPOSE
        )
        decision = self._house.service.authorize(self._house.narrator, claim)
        if isinstance(decision, Deny):
            raise Failed(decision.code, decision.reason)
        return CloneRequest(self._verifier.verify(decision.token, said), said, self._reference, seed)


def _qwen_tts(config: EngineConfig, mode: Mode) -> Work:
    """The published package on the same checkpoint, text, device, precision and budget."""
    import torch

    from speech.qwen.budget import frame_budget
    from speech.qwen.model import choose_placement
    from speech.qwen.torchaudio_cpu import import_torchaudio

    import_torchaudio()
    from qwen_tts import Qwen3TTSModel

    placement = choose_placement(config.device, config.dtype, config.memory_fraction)
    tts: Any = Qwen3TTSModel.from_pretrained(
        getattr(config, MODES[mode]).source,
        device_map=placement.device,
        dtype=getattr(torch, placement.dtype),
        local_files_only=True,
    )
    tts.model.talker.generation_config.pad_token_id = (
        tts.model.config.talker_config.codec_eos_token_id
    )  # else a log
    seeds = itertools.count(1)
    same = {"text": TEXT, "language": "English", "max_new_tokens": frame_budget(TEXT, config.max_frames)}
    generate: Callable[[], Any]
    match mode:
        case "clone":
            recording = (hum(4.0), SAMPLE_RATE)
            prompt = tts.create_voice_clone_prompt(ref_audio=recording, ref_text="A hum has no words.")
            generate = lambda: tts.generate_voice_clone(voice_clone_prompt=prompt, **same)  # noqa: E731
        case "custom":
            speaker = tts.get_supported_speakers()[0]
            generate = lambda: tts.generate_custom_voice(speaker=speaker, **same)  # noqa: E731
        case "design":
            generate = lambda: tts.generate_voice_design(instruct=STYLE, **same)  # noqa: E731

    def speak() -> float:
        torch.manual_seed(next(seeds))  # the engine's seeds: the same speech ends at the same frame
        waves, _ = generate()
        return float(len(waves[0]) / FRAME)

    return speak


def _found(checkpoints: Path) -> dict[str, str]:
    return {kind: str(checkpoints / kind) for kind in MODES.values() if (checkpoints / kind).is_dir()}


def _device(config: EngineConfig) -> str:
    if config.name == "embedded":
        return "cpu"
    from speech.qwen.model import choose_placement

    return choose_placement(config.device, config.dtype, None).device.partition(":")[0]
