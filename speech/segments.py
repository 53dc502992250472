"""What an engine speaks in one go: a long text in pieces, and the silence after each.

A short text is one segment, as a model's own pauses between sentences are better than ours. A long one is cut at
the ends of sentences, where it must be at clauses, then between words, but inside a number like "10 000" last, then
graphemes (UAX #29), never inside one.
Sentences are found by `sentencex`, which knows the abbreviations and quotation marks of the ten languages.
Nothing that can be said is lost: the segments, joined, are the text without its pauses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, TypeAlias

import regex  # type: ignore[import-untyped]

from consent_service.grants import Utterance
from speech.budget import expected_seconds
from speech.text.markup import PAUSE

LONGEST_SEGMENT_S: Final = 20.0  # by the budget's estimate; longer generations drift and run away more often
SENTENCE_PAUSE_S: Final = 0.35
CLAUSE_PAUSE_S: Final = 0.15
WORD_PAUSE_S: Final = 0.0

_Splitter: TypeAlias = Callable[[str, str], Sequence[str]]  # (text, language) → pieces that join to it

_CLAUSES: Final = regex.compile(r"(?<=[,;:—–](?=\s)|[、，；：])(?<!\p{N}[，：](?=\p{N}))")
_PHRASES: Final = regex.compile(r"(?<=\s)(?=\S)(?<!\p{N}\s(?=[\p{N}%]))")
_WORDS: Final = regex.compile(r"(?<=\s)(?=\S)")
_TOKENS: Final = regex.compile(r"(?w)\b(?<!\p{N}[．，：／](?=\p{N}))(?<!\p{N}(?=[．，：／]\p{N}))")
_GRAPHEMES: Final = regex.compile(r"\X")
_TITLE: Final = regex.compile(r"(?:^|\s)(?:\p{Lu}|MM|Mme|Mlle)\.\s*$")
_QUOTED: Final = regex.compile(r"[」』](?:と.|って)$")
_CLOSED: Final = regex.compile(r"[»“”\"'’…]\s*$")
_ATTRIBUTION: Final = regex.compile(r"[—–-]?\s*\p{Ll}|[—–]|(?:이?라고|하고)")
_SAYABLE: Final = regex.compile(r"[\p{L}\p{N}]")


@dataclass(frozen=True, slots=True)
class Segment:
    """text: one line, spoken in one go; empty only in the first, when the utterance begins with a pause.
    pause_s: silence after it.
    """

    text: str = field(repr=False)
    pause_s: float


def plan(utterance: Utterance, longest_s: float = LONGEST_SEGMENT_S) -> tuple[Segment, ...]:
    """The segments of a canonical utterance, in order; at least one. The last one's pause is as written."""
    segments: list[Segment] = []
    parts = PAUSE.split(utterance.text)  # text, milliseconds, text, …
    for index in range(0, len(parts), 2):
        pause_s = int(parts[index + 1]) / 1000 if index + 1 < len(parts) else 0.0
        text = parts[index].strip(" ")
        if _SAYABLE.search(text) is not None:
            segments += _spread(_divide(text, utterance.language, longest_s, 0), pause_s)
        elif segments:  # two pauses in a row, or only punctuation between them
            last = segments[-1]
            segments[-1] = Segment(last.text, last.pause_s + pause_s)
        elif pause_s:
            segments.append(Segment("", pause_s))
    return tuple(segments)


def _spread(pieces: Iterable[Segment], pause_s: float) -> list[Segment]:
    """The pieces; the last one with the pause that is written after it."""
    *head, last = pieces
    return [*head, Segment(last.text, pause_s)]


def _divide(text: str, language: str, longest_s: float, level: int) -> list[Segment]:
    """`text` in segments of at most `longest_s`, cut at the given level and below it only where needed."""
    if expected_seconds(text, language) <= longest_s or level == len(_LEVELS):
        return [Segment(text.strip(), 0.0)]
    split, pause_s = _LEVELS[level]
    segments: list[Segment] = []
    for group in _balanced(split(text, language), language, longest_s):
        below = _divide(group, language, longest_s, level + 1)
        segments += _spread(below, pause_s)
    return segments


def _balanced(pieces: Sequence[str], language: str, longest_s: float) -> list[str]:
    """Neighbouring pieces together, in groups of similar length: a last word alone sounds like an afterthought."""
    lengths = [expected_seconds(piece, language) for piece in pieces]
    wanted_s = sum(lengths) / _fewest(lengths, longest_s)
    groups: list[str] = []
    group, group_s = "", 0.0
    for piece, length in zip(pieces, lengths, strict=True):
        full = group_s + length / 2 > wanted_s or group_s + length > longest_s
        if full and _SAYABLE.search(group) is not None:  # punctuation alone is nothing to speak
            groups.append(group)
            group, group_s = "", 0.0
        group += piece
        group_s += length
    if _SAYABLE.search(group) is None and groups:
        groups[-1] += group
    elif group:
        groups.append(group)
    return groups


def _fewest(lengths: Iterable[float], longest_s: float) -> int:
    """How many groups of at most `longest_s` the pieces need."""
    groups, group_s = 1, 0.0
    for length in lengths:
        if group_s and group_s + length > longest_s:
            groups, group_s = groups + 1, 0.0
        group_s += length
    return groups


def _sentences(text: str, language: str) -> list[str]:
    from sentencex import segment

    sentences: list[str] = []
    for sentence in segment(language, text):
        if sentences and _goes_on(sentences[-1], sentence):
            sentences[-1] += sentence
        else:
            sentences.append(sentence)
    return sentences if "".join(sentences) == text else [text]


def _goes_on(before: str, after: str) -> bool:
    """Boundaries that are none: after "M." or "J. S.", between a quotation and who said it, before mere punctuation."""
    return (
        _TITLE.search(before) is not None
        or _QUOTED.search(before + after[:2]) is not None
        or (_CLOSED.search(before) is not None and _ATTRIBUTION.match(after) is not None)
        or _SAYABLE.search(after) is None
    )


def _clauses(text: str, _language: str) -> list[str]:
    return _cut(_CLAUSES, text)


def _phrases(text: str, _language: str) -> list[str]:
    return _cut(_PHRASES, text)


def _tokens(text: str, _language: str) -> list[str]:
    return _cut(_TOKENS, text)


def _words(text: str, _language: str) -> list[str]:
    return _cut(_WORDS, text)


def _graphemes(text: str, _language: str) -> list[str]:
    return list(_GRAPHEMES.findall(text))


def _cut(pattern: regex.Pattern[str], text: str) -> list[str]:
    places = [0, *(match.start() for match in pattern.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(places) if end > start]


_LEVELS: Final[tuple[tuple[_Splitter, float], ...]] = (
    (_sentences, SENTENCE_PAUSE_S),
    (_clauses, CLAUSE_PAUSE_S),
    (_phrases, WORD_PAUSE_S),
    (_words, WORD_PAUSE_S),
    (_tokens, WORD_PAUSE_S),
    (_graphemes, WORD_PAUSE_S),
)
