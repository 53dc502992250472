"""Numbers, dates, times, money and units in the words of the language they stand in.

A stretch of text is read only where its form leaves no doubt; everything else stays as it was written and is the
engine's to read: telephone numbers, versions, addresses, Roman numerals, ambiguous dates, and every number whose
form depends on the gender or case of something that we do not know. Each language's rules and doubts: `reading`.
"""

from __future__ import annotations

import re
from typing import Final

from speech.text.reading import reader

_DIGIT: Final = re.compile("[0-9０-９]")


def normalise(text: str, language: str) -> str:
    """`text` with what is beyond doubt in words. language: ISO 639-1 code."""
    if _DIGIT.search(text) is None:
        return text
    return reader(language)(text)
