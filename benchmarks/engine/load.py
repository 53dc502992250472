"""Qwen3-TTS with random weights of a shape, under load, beside qwen-tts in the same run.

Speech ends only after so many frames, so that both do equal work: first audio, underruns, what a frame of all streams
costs, loading, memory.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.engine.loading import load_once
from benchmarks.engine.profile import profile
from benchmarks.engine.shapes import SHAPES
from speech.config import EngineConfig
from speech.engine import Mode
from speech.load import load_engine
from vouch.bench.engine import PEER, config_for, device_of, ours, peer, rate
from vouch.bench.engine_checkpoints import write_checkpoint
from vouch.bench.engine_load import Turn, take_turns
from vouch.bench.engine_requests import MODES, Requests
from vouch.bench.figures import Figure


def measure_shape(
    shape: str,
    modes: Sequence[Mode],
    concurrency: Sequence[int],
    *,
    device: str,
    frames: int,
    seconds: float,
    with_peer: bool,
    eager: bool = False,
) -> Iterator[Figure]:
    """`seconds` for each mode and number of streams, each of `frames` codec frames.

    eager: without the compiler, and without the figures of what compiling costs.
    """
    with tempfile.TemporaryDirectory(prefix="vouch-bench-") as folder:
        for mode in modes:
            config = _config(
                shape, mode, Path(folder) / mode, device, frames=frames, slots=max(concurrency), eager=eager
            )
            case = f"{shape}-{device_of(config)}-{mode}"
            if not eager:
                yield from _loading(config, case, Path(folder))
            theirs = peer(config, mode) if with_peer else None
            engine = load_engine(config)
            try:
                engine.warm_up()
                requests = Requests(next(iter(engine.info.speakers), ""))
                costs: dict[int, float] = {}
                for streams in sorted(concurrency):
                    works = [ours(engine, requests, mode, streams)]
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
        config = _config(shape, mode, Path(folder), "cpu", frames=frames, slots=streams, eager=eager)
        engine = load_engine(config)
        try:
            engine.warm_up()
            requests = Requests(next(iter(engine.info.speakers), ""))
            yield from profile(f"{shape}-cpu-{mode}-{streams}", ours(engine, requests, mode, streams))
        finally:
            engine.close()


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` % of them do not pass."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(percent) // 100) - 1)]


def _config(
    shape: str, mode: Mode, folder: Path, device: str, *, frames: int, slots: int, eager: bool
) -> EngineConfig:
    write_checkpoint(folder / MODES[mode], MODES[mode], SHAPES[shape], endless=True)
    return config_for(
        "qwen",
        folder,
        device,
        frames=frames,
        eager=eager,
        slots=slots,
        compile_cache=str(folder / "compiled"),
    )


def _loading(config: EngineConfig, case: str, folder: Path) -> Iterator[Figure]:
    """A replica's first start, with nothing compiled yet, and its second."""
    for when in ("", "-again"):
        loading = load_once(config, folder)
        yield Figure("engine", f"{case}-ready{when}", loading.ready_s, "s")
        yield Figure("engine", f"{case}-compile{when}", loading.compile_s, "s")
        yield Figure("engine", f"{case}-ready{when}-cpu", loading.cpu_s, "s")


def _figures(case: str, turns: Sequence[Turn]) -> Iterator[Figure]:
    yield rate(case, turns)
    with_peer = len(turns) > 1
    for percent in (50, 95):
        first = [1e3 * percentile(turn.first_audio_s, percent) for turn in turns]
        yield Figure(
            "engine",
            f"{case}-first-audio-p{percent}",
            first[0],
            "ms",
            PEER if with_peer else None,
            first[1] if with_peer else None,
            less_is_better=True,
        )
    dry = 100 * turns[0].underruns / len(turns[0].first_audio_s)
    yield Figure("engine", f"{case}-underruns", dry, "% of streams")


def _growth(case: str, costs: dict[int, float], streams: int) -> Iterator[Figure]:
    """What a frame of all streams costs, and how many times that of the fewest: less than in proportion?"""
    yield Figure("engine", f"{case}-{streams}-frame", 1e3 * costs[streams], "ms")
    fewest = min(costs)
    if streams > fewest:
        times = costs[streams] / costs[fewest]
        yield Figure("engine", f"{case}-{streams}-growth", times, f"times the frame of {fewest}")


def _peak_memory(config: EngineConfig) -> float:
    """MiB: the device's, or this process's with everything in it."""
    if device_of(config) == "cuda":
        import torch

        return float(torch.cuda.max_memory_allocated()) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
