"""A caller's respellings: {"Nguyen": "Win", "SQL": "sequel"}. Qwen3-TTS reads text, not phonemes.

Whole words, the longest first, in one pass: a respelling is not looked up again. A word in lower case matches in
any case, one with a capital matches as written. Words in scripts without spaces (Han, kana, Hangul) match anywhere.
Respellings are words: brackets, which could make markup, and control tokens are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import regex  # type: ignore[import-untyped]

from speech.errors import TextError
from speech.text.canonical import canonical

MAX_ENTRIES: Final = 500
MAX_WORD: Final = 64
MAX_RESPELLING: Final = 128

_UNSPACED: Final = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}"
_IN_WORD: Final = rf"[[\p{{L}}\p{{M}}\p{{N}}_]--[{_UNSPACED}]]"
_STARTS_WORD: Final = regex.compile(_IN_WORD, regex.V1)
_SAYABLE: Final = regex.compile(r"[\p{L}\p{N}]")


class Lexicon:
    """Respellings, checked and compiled."""

    def __init__(self, entries: Mapping[str, str]) -> None:
        """Raises TextError, code lexicon_invalid."""
        if len(entries) > MAX_ENTRIES:
            raise _invalid(f"a lexicon has at most {MAX_ENTRIES} words")
        self._respellings: dict[str, str] = {}  # by the word, or its case folding where any case will do
        words: list[str] = []
        for written, respelling in entries.items():
            word = _checked(written, MAX_WORD)
            key = word.casefold() if _any_case(word) else word
            if key in self._respellings:
                raise _invalid("a lexicon names a word once")
            self._respellings[key] = _checked(respelling, MAX_RESPELLING)
            words.append(word)
        longest_first = sorted(words, key=lambda word: (-len(word), word))
        self._pattern = regex.compile("|".join(map(_pattern, longest_first)), regex.V1)

    @classmethod
    def of(cls, entries: Mapping[str, str]) -> Lexicon:
        """As the constructor, for a mapping that comes again with each row or request."""
        return _compiled(tuple(entries.items()))

    def apply(self, text: str) -> str:
        """`text` (canonical, without markup) with every listed word respelled."""
        if not self._respellings:
            return text
        return str(self._pattern.sub(lambda match: self._respelled(match.group()), text))

    def _respelled(self, word: str) -> str:
        return self._respellings.get(word) or self._respellings.get(word.casefold()) or word


@lru_cache(maxsize=32)
def _compiled(entries: tuple[tuple[str, str], ...]) -> Lexicon:
    return Lexicon(dict(entries))


def _pattern(word: str) -> str:
    before = rf"(?<!{_IN_WORD})" if _STARTS_WORD.match(word[0]) else ""
    after = rf"(?!{_IN_WORD})" if _STARTS_WORD.match(word[-1]) else ""
    folded = "(?i:" if _any_case(word) else "(?:"
    return f"{before}{folded}{regex.escape(word)}){after}"


def _any_case(word: str) -> bool:
    return word == word.lower()


def _checked(words: str, longest: int) -> str:
    try:
        line = canonical(words, limit=longest, what="lexicon")
    except TextError as error:
        raise _invalid(error.message) from None
    if _SAYABLE.search(line) is None:
        raise _invalid("a lexicon's words and respellings hold a letter or a digit each")
    if "[" in line or "]" in line:
        raise _invalid("a lexicon holds no brackets")
    return line


def _invalid(message: str) -> TextError:
    return TextError(message, code="lexicon_invalid")
