"""How many codec frames an engine makes per second; for Qwen3-TTS, beside qwen-tts itself in the same run.

`measure` takes engines and checkpoints as they are, one request at a time. `measure_shape` takes random weights of
a published shape and many requests at a time, each of exactly as many frames.
"""

from __future__ import annotations

import resource
import sys
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
from vouch.bench.engine_load import Turn, Work, percentile, speak_all, take_turns
from vouch.bench.engine_loading import load_once
from vouch.bench.engine_peer import QwenTts
from vouch.bench.engine_profile import profile
from vouch.bench.engine_requests import MODES, TEXT, Requests
from vouch.bench.engine_shapes import SHAPES
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

    more: of EngineConfig. Raises EngineUnavailable when engine qwen finds none of them.
    """
    if name == "embedded":
        return EngineConfig(name="embedded")
    found = {} if checkpoints is None else _found(checkpoints)
    if not found:
        wanted = ", ".join(MODES.values())
        raise EngineUnavailable(f"engine qwen needs --checkpoints, a folder with at least one of {wanted}")
    return _qwen(device, frames, found, eager=eager, **more)


def measure(config: EngineConfig, seconds: float) -> Iterator[Figure]:
    """A figure for each mode that the engine has; `seconds` are shared among them."""
    engine = load_engine(config)
    try:
        engine.warm_up()
        modes = [mode for mode in MODES if mode in engine.info.modes]
        requests = Requests(next(iter(engine.info.speakers), ""))
        for mode in modes:
            works = [_ours(engine, requests, mode)]
            if config.name == "qwen":
                frames = min(config.max_frames, frame_budget(TEXT, "en", config.budget.budget()))
                works.append(_peer(config, mode).work(streams=1, frames=frames))
            ours, *theirs = take_turns(works, seconds / len(modes))
            yield _rate(f"{config.name}-{_device(config)}-{mode}-1", ours, theirs)
    finally:
        engine.close()


def measure_shape(
    shape: str,
    modes: Sequence[Mode],
    concurrency: Sequence[int],
    *,
    device: str,
    frames: int,
    seconds: float,
    peer: bool,
    eager: bool = False,
) -> Iterator[Figure]:
    """Random weights, speech that ends only after `frames`: `seconds` for each mode and number of streams.

    eager: without the compiler, and without the figures of what compiling costs.
    """
    with tempfile.TemporaryDirectory(prefix="vouch-bench-") as folder:
        for mode in modes:
            checkpoint = write_checkpoint(
                Path(folder) / MODES[mode], MODES[mode], SHAPES[shape], endless=True
            )
            config = _qwen(
                device,
                frames,
                {MODES[mode]: str(checkpoint)},
                slots=max(concurrency),
                eager=eager,
                compile_cache=str(Path(folder) / "compiled"),
            )
            case = f"{shape}-{_device(config)}-{mode}"
            if not eager:
                yield from _loading(config, case, Path(folder))
            theirs = _peer(config, mode) if peer else None
            engine = load_engine(config)
            try:
                engine.warm_up()
                requests = Requests(next(iter(engine.info.speakers), ""))
                costs: dict[int, float] = {}
                for streams in sorted(concurrency):
                    works = [_ours(engine, requests, mode, streams)]
                    if theirs is not None:
                        works.append(theirs.work(streams=streams, frames=frames))
                    turns = take_turns(works, seconds)
                    yield from _figures(f"{case}-{streams}", turns)
                    costs[streams] = streams * turns[0].seconds / turns[0].frames
                    yield from _growth(case, costs, streams)
            finally:
                engine.close()
            yield Figure("engine", f"{case}-memory", _peak_memory(config), "MiB")


def profile_shape(
    shape: str, mode: Mode, streams: int, *, frames: int, eager: bool = False
) -> Iterator[Figure]:
    """Where the time goes on a CPU, with `streams` at a time."""
    with tempfile.TemporaryDirectory(prefix="vouch-bench-") as folder:
        checkpoint = write_checkpoint(Path(folder) / MODES[mode], MODES[mode], SHAPES[shape], endless=True)
        config = _qwen("cpu", frames, {MODES[mode]: str(checkpoint)}, eager=eager, slots=streams)
        engine = load_engine(config)
        try:
            engine.warm_up()
            requests = Requests(next(iter(engine.info.speakers), ""))
            yield from profile(f"{shape}-cpu-{mode}-{streams}", _ours(engine, requests, mode, streams))
        finally:
            engine.close()


def _ours(engine: SpeechEngine, requests: Requests, mode: Mode, streams: int = 1) -> Work:
    def work() -> Turn:
        return speak_all(engine, [requests.make(mode) for _ in range(streams)])

    return work


def _loading(config: EngineConfig, case: str, folder: Path) -> Iterator[Figure]:
    """A replica's first start, with nothing compiled yet, and its second."""
    for when in ("", "-again"):
        loading = load_once(config, folder)
        yield Figure("engine", f"{case}-ready{when}", loading.ready_s, "s")
        yield Figure("engine", f"{case}-compile{when}", loading.compile_s, "s")
        yield Figure("engine", f"{case}-ready{when}-cpu", loading.cpu_s, "s")


def _figures(case: str, turns: Sequence[Turn]) -> Iterator[Figure]:
    ours, *theirs = turns
    yield _rate(case, ours, theirs)
    for percent in (50, 95):
        first = [1e3 * percentile(turn.first_audio_s, percent) for turn in turns]
        yield Figure(
            "engine",
            f"{case}-first-audio-p{percent}",
            first[0],
            "ms",
            PEER if theirs else None,
            first[1] if theirs else None,
            less_is_better=True,
        )
    yield Figure(
        "engine", f"{case}-underruns", 100 * ours.underruns / len(ours.first_audio_s), "% of streams"
    )


def _growth(case: str, costs: dict[int, float], streams: int) -> Iterator[Figure]:
    """What a frame of all streams costs, and how many times that of the fewest: less than in proportion?"""
    yield Figure("engine", f"{case}-{streams}-frame", 1e3 * costs[streams], "ms")
    fewest = min(costs)
    if streams > fewest:
        times = costs[streams] / costs[fewest]
        yield Figure("engine", f"{case}-{streams}-growth", times, f"times the frame of {fewest}")


def _rate(case: str, ours: Turn, theirs: Sequence[Turn]) -> Figure:
    rate = ours.frames / ours.seconds
    if not theirs:
        return Figure("engine", case, rate, "frames/s")
    return Figure("engine", case, rate, "frames/s", PEER, theirs[0].frames / theirs[0].seconds)


def _peer(config: EngineConfig, mode: Mode) -> QwenTts:
    checkpoint = Path(getattr(config, MODES[mode]).source)
    return QwenTts(checkpoint, mode, device=config.device, dtype=config.dtype)


def _qwen(
    device: str, frames: int, checkpoints: dict[str, str], *, eager: bool, **more: object
) -> EngineConfig:
    return EngineConfig.model_validate(
        {
            "name": "qwen",
            "device": device,
            "max_frames": frames,
            "on_runaway": "cut",
            "offline": True,
            "compile": "off" if eager else "auto",
            **checkpoints,
            **more,
        }
    )


def _found(checkpoints: Path) -> dict[str, str]:
    return {kind: str(checkpoints / kind) for kind in MODES.values() if (checkpoints / kind).is_dir()}


def _device(config: EngineConfig) -> str:
    if config.name == "embedded":
        return "cpu"
    from speech.qwen.model import choose_placement

    return choose_placement(config.device, config.dtype, None).device.partition(":")[0]


def _peak_memory(config: EngineConfig) -> float:
    """MiB: the device's, or this process's with everything in it."""
    if _device(config) == "cuda":
        import torch

        return float(torch.cuda.max_memory_allocated()) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
