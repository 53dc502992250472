"""What a request is made into: within its slot, from copies, and erased when nobody needs it any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from speech.config import EngineConfig
from speech.engine import SAMPLE_RATE, CloneRequest, Reference
from speech.errors import RequestInvalid, SynthesisCancelled
from speech.qwen.compose import VoicePrompt
from speech.qwen.engine import QwenEngine
from speech.qwen.job import Part
from speech.qwen.model import QwenModel
from speech.qwen.parts import PartMaker
from speech.qwen.slots import State
from speech.text import prepare
from tests.assets.grants import granted
from tests.assets.recordings import hum


@pytest.fixture
def engines(checkpoints: dict[str, Path]) -> Iterator[Callable[..., QwenEngine]]:
    opened: list[QwenEngine] = []

    def open_engine(**settings: Any) -> QwenEngine:
        values = {"name": "qwen", "device": "cpu", "compile": "off", "max_frames": 4, "on_runaway": "cut"}
        values |= {"base": str(checkpoints["base"]), **settings}
        opened.append(QwenEngine(EngineConfig.model_validate(values)))
        return opened[-1]

    yield open_engine
    for engine in opened:
        engine.close()


def clone(*, seconds: float = 1.0, text: str = "Good morning.", transcript: str = "Words.") -> CloneRequest:
    said = prepare(text, "en")
    return CloneRequest(granted(said), said, Reference(hum(120, seconds=seconds), SAMPLE_RATE, transcript))


def caught(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[Any]:
    """Everything that the method gives back from now on."""
    made: list[Any] = []
    make = getattr(owner, name)

    def keep(self: Any, *args: Any) -> Any:
        made.append(make(self, *args))
        return made[-1]

    monkeypatch.setattr(owner, name, keep)
    return made


def is_erased(voice: VoicePrompt) -> bool:
    return not any(tensor.any() for tensor in (voice.embedding, voice.codes) if tensor is not None)


def test_a_reference_that_cannot_fit_is_refused_before_time_is_spent_on_it(
    engines: Callable[..., QwenEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = caught(monkeypatch, QwenModel, "clone_prompt")
    with pytest.raises(RequestInvalid, match="longer than 20 s"):
        list(engines(positions=256).start(clone(seconds=21)))
    assert not made


def test_a_text_is_refused_where_its_usual_length_has_no_room(engines: Callable[..., QwenEngine]) -> None:
    """Else it would be generated, and fail as run away, with nothing wrong but the reference's length."""
    engine = engines(positions=256)
    with pytest.raises(RequestInvalid, match="shorter reference"):
        list(engine.start(clone(seconds=10, text="The tide came in slowly over the long grey sand. " * 4)))
    assert list(engine.start(clone(seconds=10)))


def test_a_voice_that_is_not_kept_is_erased_when_it_has_been_used(
    engines: Callable[..., QwenEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = caught(monkeypatch, QwenModel, "clone_prompt")
    expected = np.concatenate(list(engines().start(clone())))
    heard = np.concatenate(list(engines(prompt_cache_size=0).start(clone())))
    np.testing.assert_array_equal(heard, expected)
    kept, used = made
    assert is_erased(used)
    assert not is_erased(kept)


def test_what_was_made_for_a_request_is_erased_when_it_ends(
    engines: Callable[..., QwenEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[Part] = caught(monkeypatch, PartMaker, "make")
    engine = engines()
    list(engine.start(clone()))
    engine.status()  # a turn later
    (part,) = parts
    for tensor in (part.prompt.embeddings, part.prompt.text, part.reference):
        assert tensor is not None
        assert not tensor.any()


def test_no_number_of_a_voice_is_left_on_the_device(engines: Callable[..., QwenEngine]) -> None:
    """Neither where the talker heard it, nor where the codec spoke it, whether it was heard out or hung up on."""
    engine = engines(max_frames=40)
    list(engine.start(clone()))
    cut = engine.start(clone())
    next(iter(cut))
    cut.cancel()
    list(engine.start(clone()))
    while engine.status()["clone"].seated:
        pass
    seats = engine._stations["clone"].batcher.seats
    clean = State.allocate(
        seats.runner.frame.shape, seats.runner.slots, 2048, torch.device("cpu"), torch.float32
    )
    for tensor, fresh in zip(seats.runner.state.tensors, clean.tensors, strict=True):
        assert torch.equal(tensor, fresh)
    for memory in (seats.codec._tapes, seats.codec._rings, seats.codec._positions):
        assert not memory.any()


def test_what_was_made_too_late_is_erased_too(
    engines: Callable[..., QwenEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[Part] = caught(monkeypatch, PartMaker, "make")
    make, begun, go_on = PartMaker.make, threading.Event(), threading.Event()

    def slow(*args: Any) -> Part:
        begun.set()
        go_on.wait()
        return make(*args)

    monkeypatch.setattr(PartMaker, "make", slow)
    engine = engines()
    stream = engine.start(clone())
    begun.wait()
    closing = threading.Thread(target=engine.close)
    closing.start()
    with pytest.raises(SynthesisCancelled):
        list(stream)
    go_on.set()
    closing.join()
    (part,) = parts
    assert not part.prompt.embeddings.any()


def test_a_prompt_is_not_erased_while_it_is_read(
    engines: Callable[..., QwenEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A voice may be cancelled for its old requests while a new one is being made."""
    engine = engines()
    expected = np.concatenate(list(engine.start(clone())))
    composer = engine._stations["clone"]._model.composer
    compose, cancelled = composer.clone, []

    def cancelled_meanwhile(text: str, language: str, voice: VoicePrompt) -> Any:
        dropping = threading.Thread(target=engine._prompts.drop_voice, args=("voice-a",))
        dropping.start()
        cancelled.append(dropping)
        dropping.join(0.05)
        return compose(text, language, voice)

    monkeypatch.setattr(composer, "clone", cancelled_meanwhile)
    np.testing.assert_array_equal(np.concatenate(list(engine.start(clone()))), expected)
    for thread in cancelled:
        thread.join()
    assert len(engine._prompts) == 0
