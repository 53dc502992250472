"""Numbers, dates, money and units are read in their language where that is beyond doubt, and left alone elsewhere."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from speech.errors import TextError
from speech.languages import CODES
from speech.text import check, prepare
from speech.text.reading.wetext_grammar import grammar_reading

TABLE = Path(__file__).parents[2] / "assets" / "readings.tsv"
READINGS = [line.split("\t") for line in TABLE.read_text().splitlines() if not line.startswith("#")]

# What numbers stand in, in pieces that may meet in any order.
PIECES = (
    "0|1|2|3|4|5|6|7|8|9| |  |.|,|:|/|-|−|–|%| %|€|$|£|￥|₽|°C|(|)|km| kg|am |am|Uhr| h|º|ª|er|de| de |Mai|mai|May |"
    "Nov |月|日|年|个|人|円|午後|下午|년|월|일|개|시|분|원|オ|第|руб.| км|на |1.234|2026|22.11.2026|12,50|１２|"
    "[pause 1s]|[|]|a|é|\u0301|'|#|the "
)
NUMERIC = st.lists(st.sampled_from(PIECES.split("|")), min_size=1, max_size=14).map("".join)


@pytest.mark.parametrize(
    ("language", "written", "said"), READINGS, ids=[" ".join(row[:2]) for row in READINGS]
)
def test_what_is_written_is_said(language: str, written: str, said: str) -> None:
    assert prepare(written, language).text == (written if said == "=" else said)


def test_the_table_covers_all_ten_languages() -> None:
    assert {row[0] for row in READINGS} == set(CODES)
    assert len(READINGS) >= 100


@settings(deadline=None)  # the first number of a language loads its grammar
@given(NUMERIC, st.sampled_from(CODES))
@example("5 km 6 kg", "de")
@example("1.5s 2", "en")
@example("2026年2026年", "zh")
def test_what_was_read_is_not_read_again(text: str, language: str) -> None:
    try:
        once = prepare(text, language)
    except TextError:
        return
    assert prepare(once.text, language) == once
    check(once)


@settings(deadline=None)  # the first number of a language loads its grammar
@given(
    st.text(alphabet=st.characters(exclude_categories=("Nd", "No", "Nl", "C")), max_size=40),
    st.sampled_from(CODES),
)
def test_a_text_without_digits_is_not_touched(text: str, language: str) -> None:
    try:
        said = prepare(text, "en").text
    except TextError:
        return
    assert prepare(text, language).text == said


def test_readings_do_not_depend_on_who_else_asks() -> None:
    rows = READINGS * 3
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda row: prepare(row[1], row[0]).text, rows))
    assert said == [prepare(row[1], row[0]).text for row in rows]


@pytest.mark.parametrize("module", ["speech.text", "speech.segments", "speech.budget", "speech.joining"])
def test_grammars_are_loaded_when_the_first_number_comes(module: str) -> None:
    heavy = ("wetext", "kaldifst", "num2words", "sentencex", "torch")
    program = (
        f"import sys, {module}; from speech.text import prepare; prepare('No digits here.', 'en')\n"
        f"print(*[name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("form", ["#1", "−5", "５／６"])
def test_what_the_grammar_does_not_cover_is_left(form: str) -> None:
    assert grammar_reading(form, "en") is None


def test_a_normaliser_that_never_settles_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The property above holds by construction, whatever grammars come."""
    monkeypatch.setattr("speech.text.utterance.normalise", lambda text, _language: f"{text.strip()} 1.")
    assert prepare("Chapter 5", "en").text == "Chapter 5"
    respelled = prepare("ア\u3099 5", "ja", lexicon={"ア": "カ"})
    assert respelled.text == "ガ 5"
    check(respelled)


def test_a_text_is_as_long_as_what_is_said() -> None:
    assert prepare("7,777, " * 5, "en", max_characters=500).characters > 200
    with pytest.raises(TextError) as raised:
        prepare("7,777, " * 10, "en", max_characters=100)
    assert raised.value.code == "text_too_long"
