"""How many codec frames an engine makes per second; for Qwen3-TTS, beside qwen-tts itself in the same run.

Checkpoints as they are, or tiny ones with random weights, whose speech ends only at its budget so that both do equal
work. What else may be asked of an engine is in `benchmarks/engine`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from speech.budget import frame_budget
from speech.config import EngineConfig
from speech.engine import Mode, SpeechEngine
from speech.errors import EngineUnavailable
from speech.load import load_engine
from vouch.bench.engine_checkpoints import write_checkpoint
from vouch.bench.engine_load import Turn, Work, speak_all, take_turns
from vouch.bench.engine_peer import QwenTts
from vouch.bench.engine_requests import MODES, TEXT, Requests
from vouch.bench.figures import Figure

PEER: Final = "qwen-tts"
_MAX_FRAMES: Final = 128  # checkpoints that know no words never end by themselves


def config_for(
    name: str,
    checkpoints: Path | None,
    device: str,
    *,
    frames: int = _MAX_FRAMES,
    eager: bool = False,
    **more: object,
) -> EngineConfig:
    """The engine to measure. checkpoints: a folder with base/, custom_voice/ and voice_design/, or some of them.

    eager: without the compiler. more: of EngineConfig. Raises EngineUnavailable when engine qwen finds none of them.
    """
    if name == "embedded":
        return EngineConfig(name="embedded")
    found = {
        kind: str(checkpoints / kind)
        for kind in MODES.values()
        if checkpoints and (checkpoints / kind).is_dir()
    }
    if not found:
        wanted = ", ".join(MODES.values())
        raise EngineUnavailable(f"engine qwen needs --checkpoints, a folder with at least one of {wanted}")
    return EngineConfig.model_validate(
        {
            "name": "qwen",
            "device": device,
            "max_frames": frames,
            "on_runaway": "cut",
            "offline": True,
            "compile": "off" if eager else "auto",
            **found,
            **more,
        }
    )


def measure(
    config: EngineConfig, seconds: float, *, streams: Sequence[int] = (1,), name: str = ""
) -> Iterator[Figure]:
    """A figure for each mode that the engine has and number of streams at a time; `seconds` are shared among them.

    name: of the engine, in the cases.
    """
    engine = load_engine(config)
    try:
        engine.warm_up()
        modes = [mode for mode in MODES if mode in engine.info.modes]
        requests = Requests(next(iter(engine.info.speakers), ""))
        for mode in modes:
            theirs = peer(config, mode) if config.name == "qwen" else None
            for count in streams:
                works = [ours(engine, requests, mode, count)]
                if theirs is not None:
                    frames = min(config.max_frames, frame_budget(TEXT, "en", config.budget.budget()))
                    works.append(theirs.work(streams=count, frames=frames))
                turns = take_turns(works, seconds / (len(modes) * len(streams)))
                yield rate(f"{name or config.name}-{device_of(config)}-{mode}-{count}", turns)
    finally:
        engine.close()


def measure_tiny(device: str, seconds: float, *, streams: Sequence[int], eager: bool) -> Iterator[Figure]:
    """The same for random weights of a tiny shape: everything but the arithmetic."""
    with tempfile.TemporaryDirectory(prefix="vouch-bench-") as folder:
        for kind in MODES.values():
            write_checkpoint(Path(folder) / kind, kind, endless=True)
        config = config_for(
            "qwen", Path(folder), device, eager=eager, slots=max(streams), compile_cache=f"{folder}/compiled"
        )
        yield from measure(config, seconds, streams=streams, name="tiny")


def ours(engine: SpeechEngine, requests: Requests, mode: Mode, streams: int) -> Work:
    def work() -> Turn:
        return speak_all(engine, [requests.make(mode) for _ in range(streams)])

    return work


def peer(config: EngineConfig, mode: Mode) -> QwenTts:
    """On the checkpoint of that mode."""
    checkpoint = Path(getattr(config, MODES[mode]).source)
    return QwenTts(checkpoint, mode, device=config.device, dtype=config.dtype)


def rate(case: str, turns: Sequence[Turn]) -> Figure:
    """turns: ours, and the peer's if there is one."""
    frames_per_s = [turn.frames / turn.seconds for turn in turns]
    if len(turns) == 1:
        return Figure("engine", case, frames_per_s[0], "frames/s")
    return Figure("engine", case, frames_per_s[0], "frames/s", PEER, frames_per_s[1])


def device_of(config: EngineConfig) -> str:
    """Of its name, what stands in a case: cpu or cuda."""
    if config.name == "embedded":
        return "cpu"
    from speech.qwen.model import choose_placement

    return choose_placement(config.device, config.dtype, None).device.partition(":")[0]
