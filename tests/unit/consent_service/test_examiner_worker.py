"""The program that holds the models: one line of answer to each question, nothing quoted, an end when nobody asks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from consent_service.examination import english, worker
from consent_service.examination.process import IDLE_ENV
from consent_service.examination.worker import Examine, serve

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


def answers(examine: Examine, *parts: bytes) -> list[dict[str, Any]]:
    read, write = os.pipe()
    with asked(*parts):
        try:
            serve(examine, write)
        finally:
            os.close(write)
    with os.fdopen(read, "rb") as file:
        return [json.loads(line) for line in file]


def question(*recordings: bytes, **request: Any) -> bytes:
    head = json.dumps({**request, "sizes": [len(one) for one in recordings]}).encode()
    return head + b"\n" + b"".join(recordings)


def lengths(request: dict[str, Any], recordings: list[bytes]) -> dict[str, Any]:
    return {**request, "lengths": [len(one) for one in recordings]}


def test_each_question_gets_its_answer_until_the_owner_hangs_up() -> None:
    told = answers(lengths, question(b"one\n", b"", number=1), question(b"\n" * 3000, number=2))
    assert told == [{"number": 1, "lengths": [4, 0]}, {"number": 2, "lengths": [3000]}]


def test_what_fails_is_told_by_its_kind_and_the_next_question_is_answered() -> None:
    def examine(request: dict[str, Any], recordings: list[bytes]) -> dict[str, Any]:
        if recordings == [b"spoil"]:
            raise ValueError(SECRET)
        return {"ok": True}

    told = answers(examine, question(b"spoil"), question(b"fine"))
    assert told == [{"failed": "ValueError"}, {"ok": True}]


def test_an_owner_that_dies_in_the_middle_of_a_recording_ends_it() -> None:
    with pytest.raises(SystemExit), asked(question(b"recording")[:-3]):
        serve(lengths, os.open(os.devnull, os.O_WRONLY))


@pytest.mark.parametrize("broken", [b"", b'{"sizes": []', b"{" * 2000 + b"\n"])
def test_what_is_no_question_is_not_answered(monkeypatch: pytest.MonkeyPatch, broken: bytes) -> None:
    monkeypatch.setattr(worker, "_LONGEST_REQUEST", 1000)
    assert answers(lengths, broken) == []


def test_one_that_nobody_asks_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IDLE_ENV, "0.01")
    kept, (read, write) = os.dup(0), os.pipe()
    os.dup2(read, 0)
    try:
        serve(lengths, write)  # returns, though its owner is there and silent
    finally:
        os.dup2(kept, 0)
        for each in (kept, read, write):
            os.close(each)


def test_what_libraries_print_is_no_answer(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    def chatty() -> Examine:
        os.write(1, b"a library's greeting\n")
        return lengths

    monkeypatch.setitem(worker._MODELS, "chatty", chatty)
    kept = os.dup(1)
    try:
        with asked(question(b"12")):
            worker.main("chatty")
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    out, err = capfd.readouterr()
    assert json.loads(out) == {"lengths": [2]}
    assert "greeting" in err


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
