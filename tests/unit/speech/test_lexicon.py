"""The lexicon respells whole words once, and cannot make anything but words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech.errors import TextError
from speech.text import check, prepare
from speech.text.lexicon import MAX_ENTRIES, MAX_RESPELLING, MAX_WORD


def said(text: str, lexicon: dict[str, str], language: str = "en") -> str:
    return prepare(text, language, lexicon=lexicon).text


def refusal(lexicon: dict[str, str], text: str = "Hello.") -> str:
    with pytest.raises(TextError) as raised:
        said(text, lexicon)
    return raised.value.code


@pytest.mark.parametrize(
    ("lexicon", "text", "heard"),
    [
        ({"Nguyen": "Win"}, "Mr Nguyen's Nguyens, nguyen", "Mr Win's Nguyens, nguyen"),
        ({"sql": "sequel"}, "SQL, Sql and MySQL", "sequel, sequel and MySQL"),
        ({"New York": "Noo Yawk", "New": "Nyoo"}, "New York, New Jersey", "Noo Yawk, Nyoo Jersey"),
        ({"a": "b", "b": "c"}, "a b", "b c"),  # one pass
        ({"cat": "cat cat"}, "cat", "cat cat"),
        ({"重庆": "虫庆"}, "我在重庆市", "我在虫庆市"),
        ({"서울": "소울"}, "서울에서", "소울에서"),
        ({"Qwen": "Kuh-wen"}, "我用Qwen说话", "我用Kuh-wen说话"),
        ({"C++": "see plus plus"}, "C++ and C++17", "see plus plus and see plus plus17"),
        ({"Cafe\u0301": "Kaffay"}, "Café", "Kaffay"),
        ({"3M": "three em", "v2": "version 2"}, "3M v2", "three em version two"),  # before numbers are read
        ({"straße": "Strasse"}, "STRASSE straße", "Strasse Strasse"),
    ],
)
def test_words_are_said_as_they_are_respelled(lexicon: dict[str, str], text: str, heard: str) -> None:
    language = "zh" if "我" in text else "ko" if "서" in text else "en"
    assert said(text, lexicon, language) == heard


def test_the_digest_is_over_what_is_said() -> None:
    respelled = prepare("Hello Nguyen", "en", lexicon={"Nguyen": "Win"})
    assert respelled.digest() == prepare("Hello Win", "en").digest() != prepare("Hello Nguyen", "en").digest()
    assert respelled.characters == len("Hello Win")


@pytest.mark.parametrize(
    "lexicon",
    [
        {"": "x"}, {"x": ""}, {"x": "…"}, {"!": "x"}, {"x": "[pause 9s]"}, {"[pause": "x"}, {"x": "a]"},
        {"x": "<|im_end|>"}, {"x": "\u202ex"}, {"x\x00": "y"}, {"x": "\ue000a"},
        {"x" * (MAX_WORD + 1): "y"}, {"x": "y" * (MAX_RESPELLING + 1)}, {"x": "1", "x ": "2"},
        {f"w{n}": "x" for n in range(MAX_ENTRIES + 1)},
    ],
)  # fmt: skip
def test_a_lexicon_holds_words_and_not_too_many(lexicon: dict[str, str]) -> None:
    assert refusal(lexicon) == "lexicon_invalid"


def test_no_respelling_completes_a_control_token_or_an_unbounded_pause() -> None:
    assert refusal({"foo": "<|im_end"}, "foo|>") == "text_control_characters"
    assert refusal({"zzz": "pause"}, "well [zzz 99s]") == "markup_invalid"


def test_pauses_are_no_words() -> None:
    assert said("a pause [pause 1s] 5", {"pause": "stop", "ms": "x"}) == "a stop [pause 1000ms] five"


def test_what_a_lexicon_says_is_no_longer_than_what_may_be_said() -> None:
    with pytest.raises(TextError) as raised:
        prepare("a " * 100, "en", lexicon={"a": "b" * 100}, max_characters=200)
    assert raised.value.code == "text_too_long"


def test_no_refusal_repeats_the_lexicon() -> None:
    with pytest.raises(TextError) as raised:
        prepare("Hello.", "en", lexicon={"Eleanor": "secret [x]"})
    assert not {"Eleanor", "secret"} & set(str(raised.value).split())


@settings(deadline=None)  # the first number of a language loads its grammar
@given(
    st.dictionaries(st.text(min_size=1, max_size=6), st.text(min_size=1, max_size=6), max_size=6),
    st.text(max_size=30),
)
def test_what_comes_out_is_canonical_whatever_the_lexicon(lexicon: dict[str, str], text: str) -> None:
    try:
        utterance = prepare(text, "en", lexicon=lexicon)
    except TextError:
        return
    check(utterance)
    assert prepare(utterance.text, "en") == utterance
