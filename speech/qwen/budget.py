"""How many codec frames a text may take, so that a generation that finds no end is noticed.

Generous by design: about three times what a slow reader needs. A frame is 80 ms.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_FIXED: Final = 50  # 4 s for pauses at the ends
_PER_DIGIT: Final = 12  # "7" may be read as a word, "2026" as five
_PER_SYLLABLE_SIGN: Final = 10  # Han, kana, Hangul
_PER_LETTER: Final = 4
_PER_SYMBOL: Final = 12  # "%", "€" are words too


def frame_budget(text: str, most: int) -> int:
    """Frames that `text` may take, at least 2 and at most `most`."""
    return max(2, min(most, _FIXED + sum(_frames(character) for character in text)))


def _frames(character: str) -> int:
    category = unicodedata.category(character)
    match category[0]:
        case "N":
            return _PER_DIGIT
        case "S":
            return _PER_SYMBOL
        case "L":
            return _PER_SYLLABLE_SIGN if category == "Lo" else _PER_LETTER
        case _:
            return _PER_LETTER  # punctuation is a pause
