"""Whatever breaks, every request ends once, every slot is given back, and the engine goes on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from speech.config import EngineConfig
from speech.engine import CustomVoiceRequest
from speech.errors import EngineBusy, EngineUnavailable, SynthesisCancelled, SynthesisFailed
from speech.qwen.codec import StreamingCodec
from speech.qwen.engine import QwenEngine
from speech.qwen.failures import out_of_memory
from speech.qwen.job import Job
from speech.qwen.model import QwenModel
from speech.qwen.runner import Runner
from speech.qwen.seats import Seats
from speech.text import prepare
from tests.assets import tiny_qwen
from tests.integration.speech.house import House, build

SAID = prepare("Good morning.", "en")


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen.build_one(tmp_path_factory.mktemp("endless"), "custom_voice", endless=True)


@pytest.fixture
def engine(endless: Path) -> Iterator[QwenEngine]:
    engine = open_engine(endless)
    yield engine
    engine.close()


@pytest.fixture
def house(models: dict[str, QwenModel]) -> House:
    return build(models["custom_voice"])


def open_engine(folder: Path, **settings: Any) -> QwenEngine:
    values = {"name": "qwen", "device": "cpu", "compile": "off", "max_frames": 12, "on_runaway": "cut"}
    return QwenEngine(EngineConfig.model_validate({**values, "custom_voice": str(folder), **settings}))


def ask(name: str = "r", text: str = "") -> CustomVoiceRequest:
    return CustomVoiceRequest(name, prepare(text, "en") if text else SAID, "vivian", 0)


def breaks(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, error: Exception, *, call: int = 1
) -> None:
    """The method fails when it is called for the `call`-th time, and at no other."""
    work, calls = getattr(owner, name), 0

    def maybe(self: Any, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise error
        return work(self, *args)

    monkeypatch.setattr(owner, name, maybe)


# in the device's thread -----------------------------------------------------------------------------------------


def test_a_frame_that_fails_ends_those_in_it_and_the_next_is_spoken(
    engine: QwenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = np.concatenate(list(engine.start(ask())))
    breaks(monkeypatch, Runner, "decode", RuntimeError("Good morning."), call=3)
    stream = engine.start(ask())
    with pytest.raises(SynthesisFailed) as raised:
        list(stream)
    assert "morning" not in raised.value.message
    np.testing.assert_array_equal(np.concatenate(list(engine.start(ask()))), expected)
    assert engine.status()["custom"].seated == 0


def test_a_codec_that_fails_ends_one_request(engine: QwenEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = np.concatenate(list(engine.start(ask())))
    breaks(monkeypatch, StreamingCodec, "decode", RuntimeError("broken"), call=3)
    outcomes = []
    for stream in [engine.start(ask(str(number))) for number in range(3)]:
        try:
            np.testing.assert_array_equal(np.concatenate(list(stream)), expected)
            outcomes.append("whole")
        except SynthesisFailed:
            outcomes.append("failed")
    assert sorted(outcomes) == ["failed", "whole", "whole"]
    assert engine.status()["custom"].seated == 0


def test_a_lost_device_ends_everybody_and_lets_nobody_in(
    engine: QwenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.warm_up()
    lost = RuntimeError("CUDA error: an illegal memory access was encountered")
    breaks(monkeypatch, Runner, "decode", lost)
    breaks(monkeypatch, Seats, "vacate", lost)
    for stream in [engine.start(ask(str(number))) for number in range(3)]:
        with pytest.raises((SynthesisFailed, EngineUnavailable)):
            list(stream)
    with pytest.raises(EngineUnavailable, match="restart"):
        list(engine.start(ask("late")))
    assert not engine.healthy, "whoever runs it is told"


def test_the_health_of_an_engine_is_told_while_its_device_works(engine: QwenEngine) -> None:
    """What asks after it from an event loop waits for no frame, load or compilation."""
    engine.warm_up()
    told: queue.SimpleQueue[bool] = queue.SimpleQueue()
    asker = threading.Thread(target=lambda: told.put(engine.healthy))

    def busy() -> bool:
        asker.start()
        return told.get(timeout=20)  # nobody else could run on the device's thread meanwhile

    assert engine._worker.call(busy)
    asker.join()


def test_an_engine_whose_thread_ended_is_not_healthy(engine: QwenEngine) -> None:
    engine._worker.post(engine._worker._stop)
    engine._worker._thread.join(20)
    assert not engine.healthy


def test_a_request_cancelled_while_its_model_loads_takes_nobody_with_it(
    engine: QwenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = QwenEngine._load
    streams: list[Any] = []

    def cancelled_meanwhile(self: QwenEngine, mode: Any) -> Any:
        station = load(self, mode)
        streams[0].cancel("client_disconnected")
        return station

    monkeypatch.setattr(QwenEngine, "_load", cancelled_meanwhile)
    engine._worker.call(lambda: streams.append(engine.start(ask(text="[pause 200ms] Good morning."))))
    with pytest.raises(SynthesisCancelled):
        list(streams[0])
    assert list(engine.start(ask("next")))


def test_a_checkpoint_that_cannot_be_used_is_the_requests_failure(
    engine: QwenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch, QwenEngine, "_load", ValueError("a codec of another kind"))
    with pytest.raises(SynthesisFailed):
        list(engine.start(ask()))
    assert list(engine.start(ask("next")))


def test_a_request_that_slips_in_while_the_engine_closes_ends(
    engine: QwenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    close, slipped = engine._worker.close, []

    def close_late() -> None:
        slipped.append(engine.start(ask("slipped in")))
        close()

    with monkeypatch.context() as patched:
        patched.setattr(engine._worker, "close", close_late)
        engine.close()
    with pytest.raises(SynthesisCancelled):
        list(slipped[0])


def test_streams_that_nobody_holds_any_more_take_no_place(endless: Path) -> None:
    engine = open_engine(endless, max_queued=2, max_frames=2)
    try:
        for round_ in range(3):
            for number in range(2):
                engine.start(ask(f"{round_} {number}"))
            idle = ask("idle", "[pause 1ms] Yes.")
            while engine.status().get("custom") is None or any(stream.live for stream in engine._streams):
                pass  # each look is a turn of the engine's thread
            assert list(engine.start(idle))
    finally:
        engine.close()


# in a turn ------------------------------------------------------------------------------------------------------


def test_who_is_cancelled_between_two_segments_gives_the_slot_back(models: dict[str, QwenModel]) -> None:
    house = build(models["custom_voice"], slots=1)
    job = house.arrive(0, said=prepare("One. [pause 10ms] Two.", "en"), budget=3)
    waiting = house.arrive(1)
    house.until(lambda: house.prepared)
    job.stream.cancel("consent_revoked")
    house.batcher.ready(job, part := house.part("Two."))
    assert not part.prompt.embeddings.any(), "what was made for nobody is erased"
    assert house.batcher.busy
    house.until(lambda: waiting.playback.began is not None)


def test_out_of_memory_in_the_codec_costs_the_newest_alone_and_the_others_no_sample(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU streams are decoded together."""
    house.batcher.hand_over.together = 2
    alone = house.arrive(7, budget=60)
    house.until(lambda: not house.batcher.busy)
    expected = np.concatenate(list(alone.stream))
    again = house.arrive(7, budget=60)
    newest = house.arrive(8, budget=60)
    newest.playback.arrived += 0.001
    house.until(lambda: again.waiting_frames and newest.waiting_frames)
    with monkeypatch.context() as patched:
        breaks(patched, StreamingCodec, "decode", torch.OutOfMemoryError("no memory"))
        with torch.inference_mode():
            house.batcher.hand_over._sound(sorted(house.batcher.seats.speaking), 1)
    house.until(lambda: not house.batcher.busy)
    with pytest.raises(EngineBusy):
        list(newest.stream)
    np.testing.assert_allclose(np.concatenate(list(again.stream)), expected, atol=1e-4)
    assert not house.batcher.seats.jobs


def test_so_many_streams_are_decoded_at_once_and_no_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a decode needs of the memory is bounded, however many fall due."""
    hand_over, decoded = house.batcher.hand_over, list[list[int]]()
    for number in range(3):
        house.arrive(number)
    house.until(lambda: len(house.batcher.seats.speaking) == 3)
    monkeypatch.setattr(Job, "due", lambda _: 8)
    monkeypatch.setattr(hand_over, "_sound", lambda slots, frames: decoded.append(sorted(slots)))
    hand_over.due([0, 1, 2])
    hand_over.together = 2
    hand_over.due([0, 1, 2])
    assert [len(slots) for slots in decoded] == [1, 1, 1, 2, 1], "on a CPU one by one"
    assert sorted(decoded[3] + decoded[4]) == [0, 1, 2]


def test_a_row_that_fell_asleep_is_an_error_and_not_the_end_of_the_speech(house: House) -> None:
    job = house.arrive(0)
    house.until(lambda: job.playback.began is not None)
    house.batcher.runner.state.active.zero_()
    house.turn()
    with pytest.raises(SynthesisFailed, match="place"):
        list(job.stream)
    assert not house.batcher.seats.jobs


def test_a_rehearsal_that_fails_puts_nobody_to_sleep(models: dict[str, QwenModel]) -> None:
    runner = Runner(models["custom_voice"].frame, 2, 64)
    runner.state.active[1] = True
    runner.graphs.call = lambda _: (_ for _ in ()).throw(torch.OutOfMemoryError("no memory"))
    with pytest.raises(torch.OutOfMemoryError):
        runner.graphs._rehearse(runner.state.first(2, 64))
    assert runner.state.active.tolist() == [False, True]


def test_a_compiler_that_fails_is_no_compiler(
    models: dict[str, QwenModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_compiler(*_: Any, **__: Any) -> Any:
        raise RuntimeError("g++: fatal error: no input files")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: no_compiler)
    monkeypatch.setattr("speech.qwen.graphs.has_compiler", lambda _: True)
    runner = Runner(models["custom_voice"].frame, 2, 64)
    runner.warm_up()
    assert not runner.graphs.compiled
    assert runner.decode([0]).status == [0]


def test_memory_is_missing_in_many_words() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60)
    assert out_of_memory(raised.value)
    assert out_of_memory(MemoryError())
    assert not out_of_memory(RuntimeError("something else"))
