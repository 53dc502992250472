"""Whether a transcript is today's sentence: two figures, and what is concluded of them.

The fixed words of the sentence are aligned with what was heard (word error rate; character error rate where a
script has no spaces). Names are not compared: every recogniser spells a person's name its own way, so in their
places anything may stand. The drawn words are looked for on their own, in their order, since they alone tell
today's recording from an old one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from consent_service.examination.challenge.purposes import said
from consent_service.examination.challenge.sentences import STATEMENT

MAX_ERROR_RATE: Final = (
    0.35  # of the fixed words; what it lets through and keeps out is in docs/measurements.md
)
MIN_WORDS_HEARD: Final = 3  # of the four drawn ones
_FREE_WORDS: Final = 8  # what a recogniser may make of a name, or of the drawn words
_FREE_CHARACTERS: Final = 24
_UNSPACED: Final = frozenset({"zh", "ja", "ko"})  # Korean has spaces, but particles grow onto its words
_ANY: Final = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """error_rate: 0 is word for word; it may exceed 1. words_heard: of the drawn words, in order."""

    error_rate: float
    words_heard: int
    words: int

    @property
    def is_spoken(self) -> bool:
        needed = min(MIN_WORDS_HEARD, self.words)
        return self.error_rate <= MAX_ERROR_RATE and self.words_heard >= needed


def compare(language: str, *, purpose: str, nonce: str, heard: str) -> Comparison:
    """What was heard against the sentence of this language, purpose and nonce."""
    drawn = [normal(word) for word in nonce.split()]
    template = STATEMENT[language].format(
        subject="\0", grantee="\0", purpose=said(language, purpose), words="\1"
    )
    expected: list[str | None] = []
    for piece in re.split("([\0\1])", template):
        expected += [_ANY] if piece in ("\0", "\1") else tokens(language, piece)
    got = tokens(language, heard)
    free = _FREE_CHARACTERS if language in _UNSPACED else _FREE_WORDS
    fixed = sum(1 for token in expected if token is not _ANY)
    return Comparison(
        error_rate=_errors(expected, got, free) / fixed,
        words_heard=_in_order(drawn, normal(heard)) if language in _UNSPACED else _common(drawn, got),
        words=len(drawn),
    )


def normal(text: str) -> str:
    """Lower case, without accents' variants of encoding and without anything that is not said."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in folded if character.isalnum())


def tokens(language: str, text: str) -> list[str]:
    """Words; single characters in scripts without reliable spaces."""
    if language in _UNSPACED:
        return list(normal(text))
    return [token for token in (normal(part) for part in re.split(r"[\s\-’']+", text)) if token]


def _errors(expected: Sequence[str | None], got: Sequence[str], free: int) -> int:
    """Levenshtein distance; in a place for anything, `free` tokens cost nothing, and each one beyond costs."""
    row = list(range(len(got) + 1))
    for want in expected:
        if want is _ANY:
            passed = [min(row[max(0, at - free) : at + 1]) for at in range(len(row))]
            for at in range(1, len(passed)):
                passed[at] = min(passed[at], passed[at - 1] + 1)
            row = passed
            continue
        below = [row[0] + 1]
        for at, token in enumerate(got, start=1):
            below.append(min(row[at] + 1, below[at - 1] + 1, row[at - 1] + (token != want)))
        row = below
    return row[-1]


def _common(drawn: Sequence[str], got: Sequence[str]) -> int:
    """Longest common subsequence."""
    row = [0] * (len(got) + 1)
    for word in drawn:
        below = [0]
        for at, token in enumerate(got, start=1):
            below.append(row[at - 1] + 1 if token == word else max(row[at], below[at - 1]))
        row = below
    return row[-1]


def _in_order(drawn: Sequence[str], text: str) -> int:
    """The same where a text has no words: how many of them stand in it, one behind the other."""
    found, begin = 0, 0
    for word in drawn:
        at = text.find(word, begin)
        if at >= 0:
            found, begin = found + 1, at + len(word)
    return found
