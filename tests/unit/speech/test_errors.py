"""The error tree: documented, with stable codes, and able to cross a process border."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

from speech import errors
from speech.errors import SpeechError


def subclasses(kind: type[SpeechError] = SpeechError) -> Iterator[type[SpeechError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from subclasses(child)


@pytest.mark.parametrize("kind", list(subclasses()))
def test_every_error_stands_in_the_tree_with_its_code(kind: type[SpeechError]) -> None:
    assert errors.__doc__ is not None
    line = next(line for line in errors.__doc__.splitlines() if kind.__name__ in line.split())
    assert kind.code in line


@pytest.mark.parametrize("kind", list(subclasses()))
def test_an_error_keeps_its_kind_message_and_code_across_processes(kind: type[SpeechError]) -> None:
    back = pickle.loads(pickle.dumps(kind("what to do", code="text_too_long")))
    assert type(back) is kind
    assert back.message == "what to do"
    assert back.code == "text_too_long"


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in subclasses()]
    assert len(set(codes)) == len(codes)
