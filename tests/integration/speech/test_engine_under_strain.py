"""What the engine does when something goes wrong, and for whom: the request it happened to, and nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from speech.config import EngineConfig
from speech.engine import CustomVoiceRequest, Samples
from speech.errors import EngineBusy, EngineUnavailable, SynthesisCancelled, SynthesisFailed
from speech.qwen import model as model_module
from speech.qwen.engine import QwenEngine
from speech.qwen.plan import slot_bytes
from speech.qwen.runner import Runner
from speech.text import prepare
from tests.assets import tiny_qwen

FRAME = 1920
SAID = prepare("Good morning.", "en")
LONG = prepare("The morning was clear, and people were walking home along the river. " * 12, "en")


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose speech never ends by itself."""
    folder = tmp_path_factory.mktemp("endless") / "custom_voice"
    return tiny_qwen.build_one(folder, "custom_voice", endless=True)


@pytest.fixture
def engines() -> Iterator[Callable[..., QwenEngine]]:
    opened: list[QwenEngine] = []

    def open_engine(folder: Path, **settings: Any) -> QwenEngine:
        values = {"name": "qwen", "device": "cpu", "compile": "off", "custom_voice": str(folder), **settings}
        opened.append(QwenEngine(EngineConfig.model_validate(values)))
        return opened[-1]

    yield open_engine
    for engine in opened:
        engine.close()


def ask(name: str = "r", seed: int = 0, said: Any = SAID) -> CustomVoiceRequest:
    return CustomVoiceRequest(name, said, "vivian", seed)


def heard(stream: Any) -> Samples:
    return np.concatenate(list(stream))


# streaming ----------------------------------------------------------------------------------------------------


def test_audio_leaves_after_the_first_frame_and_then_in_growing_chunks(
    engines: Callable[..., QwenEngine], endless: Path
) -> None:
    engine = engines(endless, max_frames=31, on_runaway="cut")
    chunks = [chunk.size for chunk in engine.start(ask())]
    assert chunks[0] <= FRAME
    assert sum(chunks) >= 30 * FRAME
    assert chunks[:3] == sorted(chunks[:3])
    assert max(chunks) <= 8 * FRAME + 480


def test_a_newcomer_is_heard_while_another_speaks(engines: Callable[..., QwenEngine], endless: Path) -> None:
    engine = engines(endless, max_frames=400, on_runaway="cut", slots=2)
    first = iter(engine.start(ask("long")))
    next(first)
    late = engine.start(CustomVoiceRequest("late", prepare("Hi.", "en"), "ryan", 1))
    next(iter(late))
    first_is_running = engine.status()["custom"].seated == 2
    assert first_is_running


def test_a_request_that_is_cancelled_gives_its_slot_to_the_next(
    engines: Callable[..., QwenEngine], endless: Path
) -> None:
    engine = engines(endless, on_runaway="cut", slots=1)
    hog = engine.start(ask("hog", said=LONG))
    next(iter(hog))
    waiting = engine.start(ask("waiting"))
    hog.cancel("consent_revoked")
    next(iter(waiting))
    waiting.cancel()
    assert engine.cancel_voice("preset:vivian", "consent_revoked") == 0


def test_a_cancelled_request_takes_part_in_no_further_frame(
    engines: Callable[..., QwenEngine], endless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing of it is handed over yet, so that no chunk could notice."""
    engine = engines(endless, max_frames=20, on_runaway="cut", slots=1, delivery="segment")
    started, frames, decode = threading.Event(), 0, Runner.decode

    def count(self: Runner, occupied: Any) -> Any:
        nonlocal frames
        frames += 1
        if frames == 5:
            started.wait()
            hog.cancel("consent_revoked")
        return decode(self, occupied)

    monkeypatch.setattr(Runner, "decode", count)
    hog = engine.start(ask("hog"))
    started.set()
    assert heard(engine.start(ask("next"))).size
    assert frames == 5 + 20 + 1, "the last one is the frame at which the second request's budget was used up"


def test_a_long_text_is_spoken_segment_by_segment_in_one_stream(
    engines: Callable[..., QwenEngine], endless: Path
) -> None:
    from speech.segments import plan

    segments = plan(LONG)
    assert len(segments) > 2
    engine = engines(endless, max_frames=6, on_runaway="cut")
    samples = heard(engine.start(ask(said=LONG)))
    pauses = sum(segment.pause_s for segment in segments)
    assert samples.size / 24_000 == pytest.approx(len(segments) * 6 * 0.08 + pauses, abs=0.15 * len(segments))
    np.testing.assert_array_equal(samples, heard(engine.start(ask(said=LONG))))


def test_a_pause_before_the_first_word_is_kept(engines: Callable[..., QwenEngine], endless: Path) -> None:
    engine = engines(endless, max_frames=4, on_runaway="cut")
    plain = heard(engine.start(ask()))
    paused = heard(engine.start(ask(said=prepare("[pause 500ms] Good morning.", "en"))))
    assert not paused[:12_000].any()
    assert paused.size == plain.size + 12_000


# running away -------------------------------------------------------------------------------------------------


def test_what_ran_away_unheard_is_tried_once_more_with_another_seed(
    engines: Callable[..., QwenEngine], checkpoints: dict[str, Path]
) -> None:
    folder, limit = checkpoints["custom_voice"], 24

    def takes(delivery: str) -> list[Samples | None]:
        engine = engines(folder, max_frames=limit, delivery=delivery)
        streams = [engine.start(ask(seed=seed)) for seed in range(12)]
        results: list[Samples | None] = []
        for stream in streams:
            try:
                results.append(heard(stream))
            except SynthesisFailed:
                results.append(None)
        return results

    streamed, whole = takes("stream"), takes("segment")
    rescued = [seed for seed in range(12) if streamed[seed] is None and whole[seed] is not None]
    assert rescued, "no second seed ended in time"
    assert any(take is None for take in whole), "there is one retry, not many"
    for before, after in zip(streamed, whole, strict=True):
        if before is not None and after is not None:
            np.testing.assert_allclose(before, after, atol=1e-4)


# memory -------------------------------------------------------------------------------------------------------


def out_of_memory(*_: object, **__: object) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_model_that_does_not_fit_is_refused_unless_a_smaller_one_is_allowed(
    engines: Callable[..., QwenEngine],
    checkpoints: dict[str, Path],
    endless: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load = model_module._load
    monkeypatch.setattr(
        model_module,
        "_load",
        lambda found, place: out_of_memory() if found.folder == endless else load(found, place),
    )
    alone = engines(endless)
    with pytest.raises(EngineUnavailable, match="fallback"):
        alone.warm_up()
    smaller = str(checkpoints["custom_voice"])
    engine = engines(endless, fallback={"custom_voice": smaller}, on_runaway="cut", max_frames=4)
    large = engine.info.model_digest
    engine.warm_up()
    assert heard(engine.start(ask())).size
    assert engine.info.model_digest != large
    assert engine.info.model_digest == engines(Path(smaller)).info.model_digest
    assert "does not fit" in engine.info.notes[0]


def test_out_of_memory_in_a_frame_costs_the_newest_request_alone(
    engines: Callable[..., QwenEngine], endless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engines(endless, max_frames=40, on_runaway="cut", slots=4)
    expected = heard(engine.start(ask("old")))
    decode, struck = Runner.decode, threading.Event()

    def strike(self: Runner, occupied: Any) -> Any:
        if len(occupied) == 2 and not struck.is_set():
            struck.set()
            out_of_memory()
        return decode(self, occupied)

    monkeypatch.setattr(Runner, "decode", strike)
    old = engine.start(ask("old"))
    first = next(iter(old))
    new = engine.start(ask("new", seed=1))
    with pytest.raises(EngineBusy) as raised:
        list(new)
    assert raised.value.code == "overloaded"
    np.testing.assert_allclose(np.concatenate([first, *old]), expected, atol=1e-4)
    assert engine.status()["custom"].seated == 0


def test_too_many_requests_are_refused_at_once(engines: Callable[..., QwenEngine], endless: Path) -> None:
    engine = engines(endless, max_queued=2, on_runaway="cut")
    streams = [engine.start(ask(str(i), said=LONG)) for i in range(2)]
    with pytest.raises(EngineBusy):
        engine.start(ask("one too many"))
    for stream in streams:
        stream.cancel()
    assert engine.start(ask("again")) is not None


def test_what_is_reported_is_what_is_allocated(engines: Callable[..., QwenEngine], endless: Path) -> None:
    engine = engines(endless, slots=3, positions=256)
    engine.warm_up()
    station = engine._stations["custom"]
    status = engine.status()["custom"]
    codec = station.batcher.seats.codec.bytes_per_slot
    assert status.slots_bytes == 3 * (slot_bytes(station._model.shape, 256, 4) + codec)
    assert not status.compiled
    assert status.attention == "sdpa"
    assert station._model.frame.nbytes == pytest.approx(4 * station._model.shape.weights, rel=0.25)


def test_a_prompt_that_leaves_no_room_for_speech_is_refused(
    engines: Callable[..., QwenEngine], endless: Path
) -> None:
    from speech.errors import RequestInvalid

    engine = engines(endless, positions=128)
    with pytest.raises(RequestInvalid, match="too long"):
        list(engine.start(ask(said=prepare("word " * 25, "en"))))


def test_closing_ends_everybody(engines: Callable[..., QwenEngine], endless: Path) -> None:
    engine = engines(endless, on_runaway="cut")
    streams = [engine.start(ask(str(i), said=LONG)) for i in range(12)]
    next(iter(streams[0]))
    engine.close()
    for stream in streams:
        with pytest.raises(SynthesisCancelled):
            list(stream)
