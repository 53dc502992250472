"""The program that holds the models: one line of answer to each question, nothing quoted, an end when nobody asks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from consent_service.examination import english, worker
from consent_service.examination.process import ANSWER
from consent_service.examination.worker import Examine
from foundation.worker_process import HEAD, READY

SECRET = "words that nobody may read"


@contextmanager
def asked(*parts: bytes) -> Iterator[None]:
    """Standard input, as the owner writes it before it hangs up."""
    kept, (read, write) = os.dup(0), os.pipe()
    os.dup2(read, 0)
    os.close(read)
    for part in parts:
        os.write(write, part)
    os.close(write)
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def question(*recordings: bytes, **request: Any) -> bytes:
    head = json.dumps({**request, "sizes": [len(one) for one in recordings]}).encode()
    return head + b"\n" + b"".join(recordings)


def answers(monkeypatch: pytest.MonkeyPatch, capfd: Any, examine: Examine, *parts: bytes) -> list[Any]:
    """What the program writes, read as its owner reads it."""
    monkeypatch.setitem(worker._MODELS, "tested", lambda: examine)
    kept = os.dup(1)
    try:
        with asked(*parts):
            worker.main("tested")
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    out, told = capfd.readouterr().out.encode("latin-1"), []
    while out:
        kind, size = HEAD.unpack(out[: HEAD.size])
        told.append((kind, out[HEAD.size : HEAD.size + size]))
        out = out[HEAD.size + size :]
    assert told.pop(0) == (READY, b"")
    assert {kind for kind, _ in told} <= {ANSWER}
    return [json.loads(body) for _, body in told]


def test_what_fails_is_told_by_its_kind_and_the_next_question_is_answered(
    monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def examine(request: dict[str, Any], recordings: list[bytes]) -> dict[str, Any]:
        if recordings == [b"spoil"]:
            raise ValueError(SECRET)
        return {**request, "lengths": [len(one) for one in recordings]}

    told = answers(monkeypatch, capfd, examine, question(b"spoil"), question(b"one\n", b"", number=1))
    assert told == [{"failed": "ValueError"}, {"number": 1, "lengths": [4, 0]}]


def test_an_owner_that_dies_in_the_middle_of_a_recording_is_not_answered(
    monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    assert answers(monkeypatch, capfd, lambda *_: {}, question(b"recording")[:-3]) == []


# English -------------------------------------------------------------------------------------------------------------
def bigrams(pronounceable: Callable[[str], bool]) -> dict[str, dict[str, float]]:
    """The model's pairs: before → word → probability."""
    pairs = english.language_model(pronounceable).partition("\\2-grams:\n")[2].partition("\n\n")[0]
    found: dict[str, dict[str, float]] = {}
    for line in pairs.splitlines():
        weight, before, word = line.split()
        found.setdefault(before, {})[word] = 10 ** float(weight)
    return found


def test_every_way_through_the_sentence_leaves_room_for_what_it_does_not_hold() -> None:
    for row in bigrams(lambda word: True).values():
        assert sum(row.values()) == pytest.approx(0.9, abs=0.01)


def test_a_word_that_the_dictionary_lacks_is_not_in_the_model() -> None:
    lacking = next(iter(english.WORDS["en"]))
    ways = bigrams(lambda word: word != lacking)
    assert lacking not in ways
    assert not any(lacking in row for row in ways.values())


@pytest.mark.slow
def test_silence_is_no_sentence() -> None:
    told = worker._english()({}, [bytes(2 * english.SAMPLE_RATE)])
    assert told["model"].startswith("pocketsphinx")
    assert len(told["text"].split()) < 4
