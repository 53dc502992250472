"""Pauses: one spelling, bounded, covered by the digest, not counted, and never smuggled in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_service.grants import Utterance
from speech.errors import TextError
from speech.text import check, prepare


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("One [pause 500ms] two", "One [pause 500ms] two"),
        ("One[pause 1.5s]two", "One [pause 1500ms] two"),
        ("One [Pause  2 S ] two", "One [pause 2000ms] two"),
        ("One [pau\u200bse 1s] two", "One [pause 1000ms] two"),
        ("One [[pause 1s]]", "One [ [pause 1000ms] ]"),
        ("One［pause 1s］two", "One［pause 1s］two"),  # not our brackets: text
        ("[paused] [laughs]", "[paused] [laughs]"),
    ],
)
def test_a_pause_has_one_spelling(written: str, canonical: str) -> None:
    said = prepare(written, "en")
    assert said.text == canonical
    check(said)


@pytest.mark.parametrize(
    "pause",
    ["[pause]", "[pause 11s]", "[pause 0ms]", "[pause -1s]", "[pause soon]", "[pause 1e3ms]", "[pause ٣s]"],
)
def test_a_pause_that_is_none_is_refused_and_not_read_aloud(pause: str) -> None:
    with pytest.raises(TextError) as raised:
        prepare(f"Well {pause} then", "en")
    assert raised.value.code == "markup_invalid"


def test_the_pauses_of_a_text_are_bounded_together() -> None:
    assert prepare("a" + "[pause 10s]a" * 6, "en")
    with pytest.raises(TextError) as raised:
        prepare("a" + "[pause 10s]a" * 7, "en")
    assert raised.value.code == "markup_invalid"


def test_pauses_are_authorised_and_not_counted() -> None:
    with_pause, without = prepare("One [pause 1s] two", "en"), prepare("One two", "en")
    assert with_pause.characters == without.characters == len("One two")
    digests = {prepare(f"One {pause} two", "en").digest() for pause in ("", "[pause 1s]", "[pause 2s]", ", ")}
    assert len(digests) == 4


def test_silence_alone_is_nothing_to_say() -> None:
    with pytest.raises(TextError) as raised:
        prepare("[pause 1s]", "en")
    assert raised.value.code == "text_empty"


@pytest.mark.parametrize("text", ["One [pause 1.5s] two", "One[pause 500ms] two", "One [pause 99999ms] two"])
def test_an_engine_takes_only_the_canonical_spelling(text: str) -> None:
    with pytest.raises(TextError):
        check(Utterance(text, "en"))


@settings(deadline=None)  # the first number of a language loads its grammar
@given(
    st.lists(
        st.sampled_from(["[", "]", "pause", "[pause ", "ms]", "s]", "5", "500", " ", "p", "1.5", "x"])
    ).map("".join)
)
def test_no_text_makes_a_pause_on_the_second_look(text: str) -> None:
    try:
        once = prepare(text, "en")
    except TextError:
        return
    assert prepare(once.text, "en") == once
