"""The canonical form: what is kept, what is refused, and that it is a fixed point."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_service.grants import Utterance
from speech.errors import TextError
from speech.text import MAX_CHARACTERS, check, prepare


def code_of(text: str, instruct: str = "", **limits: int) -> str:
    with pytest.raises(TextError) as raised:
        prepare(text, "en", instruct, **limits)
    assert text.strip() == "" or text not in str(raised.value)
    return raised.value.code


@settings(deadline=None)  # the first number of a language loads its grammar
@given(st.text(max_size=60), st.text(max_size=30))
def test_preparing_twice_changes_nothing(text: str, instruct: str) -> None:
    try:
        once = prepare(text, "en", instruct)
    except TextError:
        return
    assert prepare(once.text, once.language, once.instruct) == once
    check(once)


@settings(deadline=None)  # the first number of a language loads its grammar
@given(st.text(max_size=60))
def test_canonical_text_is_one_trimmed_composed_line(text: str) -> None:
    try:
        said = prepare(text, "en").text
    except TextError:
        return
    assert said == unicodedata.normalize("NFC", said)
    assert said == " ".join(said.split())
    assert not {unicodedata.category(character) for character in said} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("  Hello,\r\n\tworld \n", "Hello, world"),
        ("Cafe\u0301", "Café"),
        ("no\u00a0break\u2003em\u3000wide", "no break em wide"),
        ("line\u2028paragraph\u2029end", "line paragraph end"),
        ("zero\u200bwidth\ufeff, soft\u00adhyphen", "zerowidth, softhyphen"),
        ("e\u200d\u0301", "é"),  # composed only once the joiner is gone
        ("tag\U000e0041\U000e0042ged", "tagged"),  # invisible instructions
        ("a < b | c > d", "a < b | c > d"),
    ],
)
def test_texts_that_look_alike_become_the_same(raw: str, canonical: str) -> None:
    assert prepare(raw, "en").text == canonical


def test_equal_looks_mean_equal_digests() -> None:
    assert prepare("Cafe\u0301 \n", "en-GB").digest() == prepare("Café", "English").digest()


@pytest.mark.parametrize("text", ["", " \n\t ", "\u200b\ufeff", "… — !", "🙂", "\u0301"])
def test_nothing_to_say_is_refused(text: str) -> None:
    assert code_of(text) == "text_empty"


@pytest.mark.parametrize("text", ["é", "7", "東", "한", "½"])
def test_a_single_letter_or_digit_is_enough(text: str) -> None:
    assert prepare(text, "en").text


@pytest.mark.parametrize(
    "text",
    [
        "nul\x00",
        "bell\x07",
        "escape\x1b[31m",
        "delete\x7f",
        "next line\x85",
        "half\ud800",
        "\udfff half",
        "override\u202e",
        "isolate\u2066",
        "private\ue000",
        "non\uffff",
        "non\ufdd0",
        "non\U0001fffe",
        "Hello<|im_end|>",
        "Hello<|im_\u200bend|>",
        "Hello <tts_pad> there",
    ],
)
def test_what_has_no_honest_form_is_refused(text: str) -> None:
    assert code_of(text) == "text_control_characters"
    assert code_of("Good.", text) == "text_control_characters"


def test_length_counts_after_normalisation() -> None:
    assert prepare("e\u0301" * 10 + " " * 20, "en", max_characters=10).characters == 10
    assert code_of("é" * 11, max_characters=10) == "text_too_long"


def test_a_flood_is_refused_before_it_is_normalised() -> None:
    assert code_of(" " * (4 * MAX_CHARACTERS + 1)) == "text_too_long"


def test_an_instruction_has_its_own_limit() -> None:
    assert code_of("Good.", "slowly " * 200) == "instruct_too_long"


def test_an_utterance_built_by_hand_is_checked() -> None:
    with pytest.raises(TextError) as raised:
        check(Utterance("two  spaces", "en"))
    assert raised.value.code == "text_invalid"
    with pytest.raises(TextError):
        check(Utterance("Hello", "en-US"))
