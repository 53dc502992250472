"""Segments: nothing lost, nothing cut inside a character or, where it can be helped, inside a sentence."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_service.grants import Utterance
from speech.budget import expected_seconds
from speech.errors import TextError
from speech.languages import CODES
from speech.segments import CLAUSE_PAUSE_S, LONGEST_SEGMENT_S, SENTENCE_PAUSE_S, Segment, plan
from speech.text import prepare
from speech.text.markup import PAUSE

SENTENCES = {
    "zh": "我们明天一起去公园散步吧。", "en": "Dr. Smith went home at last.", "ja": "彼は「行こう。」と言いました。",
    "ko": "우리는 내일 함께 공원에 갑니다.", "de": "Frau Dr. Müller kam z. B. gestern an.",
    "fr": "M. Dupont est arrivé hier soir !", "ru": "Мы завтра пойдём гулять в парк.",
    "pt": "O Sr. Silva chegou ontem à noite.", "es": "¿Qué quiere usted, Sr. López?",
    "it": "Il sig. Rossi è arrivato ieri.",
}  # fmt: skip


def texts(utterance: Utterance, longest_s: float = LONGEST_SEGMENT_S) -> list[str]:
    return [segment.text for segment in plan(utterance, longest_s)]


@pytest.mark.parametrize("language", CODES)
def test_a_long_text_is_cut_between_sentences(language: str) -> None:
    sentence = SENTENCES[language]
    joint = "" if language in ("zh", "ja") else " "
    segments = plan(Utterance(joint.join([sentence] * 40), language))
    assert len(segments) > 2
    for segment in segments:
        assert segment.text.endswith(sentence[-1])
        assert segment.text == joint.join([sentence] * (len(segment.text + joint) // len(sentence + joint)))
        assert expected_seconds(segment.text, language) <= LONGEST_SEGMENT_S
    assert [segment.pause_s for segment in segments] == [SENTENCE_PAUSE_S] * (len(segments) - 1) + [0.0]


def test_a_short_text_is_one_segment() -> None:
    assert plan(Utterance("One. Two. Three.", "en")) == (Segment("One. Two. Three.", 0.0),)


def test_groups_of_sentences_are_of_similar_length() -> None:
    lengths = [len(text) for text in texts(Utterance(" ".join([SENTENCES["en"]] * 30), "en"))]
    assert min(lengths) > max(lengths) / 2


def test_a_sentence_without_end_is_cut_at_clauses() -> None:
    clauses = plan(Utterance("and so we went on along the river, " * 40 + "home.", "en"))
    assert all(segment.text.endswith(",") for segment in clauses[:-1])
    assert {segment.pause_s for segment in clauses[:-1]} == {CLAUSE_PAUSE_S}


def test_a_clause_without_end_is_cut_between_words_and_a_word_between_graphemes() -> None:
    assert all(set(text.split()) == {"word"} for text in texts(Utterance("word " * 300 + "word", "en")))
    family = "👨\u200d👩\u200d👧"  # in a raw utterance; the canonical form drops the joiners
    for text in texts(Utterance(f"e\u0301{family}" * 200, "en")):
        assert regex.fullmatch(rf"(?:e\u0301|{family})+", text)


@pytest.mark.parametrize(
    ("language", "together"),
    [
        ("fr", "Mme. Curie"), ("ru", "«Стой!» — сказал"), ("ko", '"멈춰!"라고'), ("en", 'He said "Stop!" and left'),
        ("en", "Mr. Smith met Dr. J. R. Jones"), ("de", "am 3. Mai"), ("es", "el Sr. García"),
    ],
)  # fmt: skip
def test_a_cut_is_never_between_a_title_and_a_name_or_a_quotation_and_its_speaker(
    language: str, together: str
) -> None:
    text = f"{together}. " * 12
    pieces = texts(Utterance(text.strip(), language), 1.5 * expected_seconds(f"{together}. ", language))
    assert len(pieces) > 5
    assert sum(piece.count(together) for piece in pieces) == 12


@pytest.mark.parametrize(
    ("language", "number"), [("fr", "10 000"), ("zh", "3：2"), ("ja", "1，000円"), ("ru", "5 %")]
)
def test_a_number_is_not_cut_while_there_is_another_place(language: str, number: str) -> None:
    words = "字" * 9 if language in ("zh", "ja") else " mot deux "
    text = (f"{words}{number}" * 40).strip()
    pieces = texts(Utterance(text, language), 4.0)
    assert len(pieces) > 3
    assert sum(piece.count(number) for piece in pieces) == 40


def test_pauses_cut_and_are_heard_as_written() -> None:
    said = prepare("[pause 500ms] One. [pause 1s] [pause 250ms] … [pause 250ms] Two. [pause 2s]", "en")
    assert plan(said) == (Segment("", 0.5), Segment("One.", 1.5), Segment("Two.", 2.0))


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["Hello. ", "a", "b c ", "「行。」", "。", "，", ", ", "J. S. Bach ", "e\u0301", "…", "? ", "[pause 1s]"]
        ),
        max_size=60,
    ).map("".join),
    st.sampled_from(CODES),
    st.floats(0.5, 20),
)  # fmt: skip
def test_nothing_that_can_be_said_is_lost_or_added(text: str, language: str, longest_s: float) -> None:
    try:
        said = prepare(text, language)
    except TextError:
        return
    segments = plan(said, longest_s)

    def letters(line: str) -> str:
        return "".join(regex.findall(r"[\p{L}\p{N}\p{M}]", line))

    assert letters("".join(segment.text for segment in segments)) == letters(PAUSE.sub("", said.text))
    assert sum(s.pause_s for s in segments) >= sum(int(ms) for ms in PAUSE.findall(said.text)) / 1000 - 1e-9
    assert all(segment.text == segment.text.strip() for segment in segments)
    assert all(segment.text for segment in segments[1:])
