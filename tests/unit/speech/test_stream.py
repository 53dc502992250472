"""A stream and its dispatcher: order, ends, failures and cancellation, without an engine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from speech.dispatch import Dispatcher
from speech.engine import CustomVoiceRequest, Samples, SpeechRequest
from speech.errors import EngineUnavailable, SynthesisCancelled, SynthesisFailed
from speech.stream import QueuedStream
from speech.text import prepare

SECRET = "the confidential words"


def request(name: str, speaker: str = "ryan") -> SpeechRequest:
    return CustomVoiceRequest(name, prepare(SECRET, "en"), speaker)


def chunk(value: float, count: int = 3) -> Samples:
    return np.full(count, value, np.float32)


@pytest.fixture
def stream() -> QueuedStream:
    return QueuedStream("r", "v")


# the stream -------------------------------------------------------------------------------------------------


def test_chunks_come_in_order_and_end(stream: QueuedStream) -> None:
    for value in (0.1, 0.2):
        stream.emit(chunk(value))
    stream.finish()
    assert [float(part[0]) for part in stream] == pytest.approx([0.1, 0.2])
    assert list(stream) == []


def test_a_consumer_may_take_one_chunk_and_go_on_later(stream: QueuedStream) -> None:
    for value in (0.1, 0.2, 0.3):
        stream.emit(chunk(value))
    stream.finish()
    first = next(iter(stream))
    assert [float(part[0]) for part in (first, *stream)] == pytest.approx([0.1, 0.2, 0.3])


def test_empty_chunks_are_dropped_and_loud_ones_limited(stream: QueuedStream) -> None:
    stream.emit(chunk(0, 0))
    stream.emit(chunk(2.0))
    stream.finish()
    (only,) = list(stream)
    assert only.max() == 1.0
    assert only.dtype == np.float32


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_never_leave(stream: QueuedStream, broken: float) -> None:
    with pytest.raises(SynthesisFailed):
        stream.emit(chunk(broken))
    assert stream._chunks == type(stream._chunks)()


def test_a_failure_is_raised_after_the_chunks_before_it_and_again(stream: QueuedStream) -> None:
    stream.emit(chunk(0.1))
    stream.fail(SynthesisFailed("broken", code="synthesis_failed"))
    next(stream)
    for _ in range(2):
        with pytest.raises(SynthesisFailed):
            next(stream)


def test_a_stream_ends_once_and_the_first_end_stands(stream: QueuedStream) -> None:
    stream.finish()
    stream.fail(SynthesisFailed("too late"))
    assert list(stream) == []
    failed = QueuedStream("r", "v")
    failed.fail(SynthesisFailed("first"))
    failed.finish()
    failed.fail(SynthesisFailed("second"))
    with pytest.raises(SynthesisFailed, match="first"):
        list(failed)


def test_a_cancel_drops_what_was_not_taken(stream: QueuedStream) -> None:
    stream.emit(chunk(0.1))
    stream.finish()
    stream.cancel("consent_revoked")
    assert not stream._chunks, "what may not be heard is not kept either"
    with pytest.raises(SynthesisCancelled) as raised:
        list(stream)
    assert raised.value.code == "consent_revoked"


def test_a_cancel_wakes_a_consumer_that_waits(stream: QueuedStream) -> None:
    waiting = threading.Event()
    codes: list[str] = []

    def consume() -> None:
        waiting.set()
        try:
            next(stream)
        except SynthesisCancelled as error:
            codes.append(error.code)

    consumer = threading.Thread(target=consume)
    consumer.start()
    waiting.wait()
    stream.cancel("consent_revoked")
    consumer.join(10)
    assert codes == ["consent_revoked"]


def test_a_producer_learns_that_nobody_listens(stream: QueuedStream) -> None:
    stream.cancel()
    with pytest.raises(SynthesisCancelled):
        stream.emit(chunk(0.1))


# the dispatcher ---------------------------------------------------------------------------------------------


class Stage:
    """An engine whose every request waits for permission to go on."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.go_on = threading.Event()
        self.spoken: list[str] = []
        self.dispatcher = Dispatcher("test", self.speak)

    def speak(self, what: SpeechRequest, stream: QueuedStream) -> None:
        self.spoken.append(what.request_id)
        self.running.set()
        self.go_on.wait()
        if what.request_id == "breaks":
            raise ValueError(SECRET)
        stream.emit(chunk(0.1))


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.go_on.set()
    stage.dispatcher.close()


def test_starting_never_waits_for_synthesis_and_order_is_kept(stage: Stage) -> None:
    streams = [stage.dispatcher.submit(request(name)) for name in "abc"]
    stage.go_on.set()
    for stream in streams:
        assert len(list(stream)) == 1
    assert stage.spoken == ["a", "b", "c"]


def test_a_request_cancelled_in_the_queue_is_never_spoken(stage: Stage) -> None:
    first, second, third = (stage.dispatcher.submit(request(name)) for name in "abc")
    stage.running.wait()
    second.cancel()
    stage.go_on.set()
    assert list(first)
    assert list(third)
    assert stage.spoken == ["a", "c"]


def test_a_voice_is_cancelled_while_it_runs_and_while_it_waits(stage: Stage) -> None:
    running, waiting = (stage.dispatcher.submit(request(name)) for name in "ab")
    other = stage.dispatcher.submit(request("c", "vivian"))
    stage.running.wait()
    assert stage.dispatcher.cancel_voice("preset:ryan", "consent_revoked") == 2
    stage.go_on.set()
    for stream in (running, waiting):
        with pytest.raises(SynthesisCancelled):
            list(stream)
    assert list(other)


def test_a_voice_is_cancelled_even_when_only_the_taking_is_left(stage: Stage) -> None:
    stage.go_on.set()
    spoken = stage.dispatcher.submit(request("a"))
    list(stage.dispatcher.submit(request("b")))
    assert stage.dispatcher.cancel_voice("preset:ryan", "consent_revoked") == 1
    with pytest.raises(SynthesisCancelled):
        list(spoken)


def test_an_unforeseen_error_fails_its_request_alone_and_tells_no_text(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.go_on.set()
    with caplog.at_level(logging.DEBUG), pytest.raises(SynthesisFailed) as raised:
        list(stage.dispatcher.submit(request("breaks")))
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert "ValueError" in caplog.text
    assert SECRET not in caplog.text
    assert list(stage.dispatcher.submit(request("next")))


def test_work_runs_in_the_thread_and_its_errors_come_back(stage: Stage) -> None:
    assert stage.dispatcher.call(threading.current_thread) is not threading.current_thread()
    with pytest.raises(EngineUnavailable):
        stage.dispatcher.call(lambda: (_ for _ in ()).throw(EngineUnavailable("missing")))


def test_close_ends_the_thread_and_refuses_more(stage: Stage) -> None:
    waiting = stage.dispatcher.submit(request("a"))
    stage.running.wait()
    stage.go_on.set()
    stage.dispatcher.close()
    assert not stage.dispatcher._thread.is_alive()
    with pytest.raises(EngineUnavailable):
        stage.dispatcher.submit(request("b"))
    with pytest.raises(EngineUnavailable):
        stage.dispatcher.call(lambda: None)
    with pytest.raises(SynthesisCancelled):
        list(waiting)
