"""One reader per language, made when the first number of that language comes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

Reader: TypeAlias = Callable[[str], str]  # text → text with what is beyond doubt in words


@cache
def reader(language: str) -> Reader:
    """language: ISO 639-1 code, one of the ten."""
    match language:
        case "en":
            from speech.text.reading.english import read_english

            return read_english
        case "zh":
            from speech.text.reading.chinese import read_chinese

            return read_chinese
        case "ja":
            from speech.text.reading.japanese import read_japanese

            return read_japanese
        case "ko":
            from speech.text.reading.korean import read_korean

            return read_korean
        case _:
            from speech.text.reading.european import european_reader

            return european_reader(language)
