"""Whole numbers and decimals in words, through `num2words`, and the doubts about them.

A cardinal agrees with what is counted in some languages. Where it does and we do not know the noun, there is no
sure reading: `agrees` tells.
"""

from __future__ import annotations

from typing import Any, Final

LARGEST: Final = 10**12  # beyond it the languages count by different scales


def cardinal(number: int, language: str, **forms: Any) -> str | None:
    """In words, in the form for counting; None where there is none that all speakers share."""
    from num2words import num2words

    if not 0 <= number < LARGEST:
        return None
    words = _plain(num2words(number, lang=language, **forms))
    if language == "pt" and words != _plain(num2words(number, lang="pt_BR")):
        return None  # dezasseis in Lisbon, dezesseis in Brasília
    return words


def ordinal(number: int, language: str) -> str:
    from num2words import num2words

    return _plain(num2words(number, lang=language, to="ordinal"))


def year(number: int, language: str) -> str | None:
    """As a date has it: nineteen ninety-nine."""
    if language in ("de", "en"):
        from num2words import num2words

        return _plain(num2words(number, lang=language, to="year"))
    return cardinal(number, language)


def digits(figures: str, language: str) -> str | None:
    """One by one."""
    words = [cardinal(int(figure), language) for figure in figures]
    return None if None in words else " ".join(word for word in words if word)


def agrees(number: int, language: str) -> bool:
    """Whether the cardinal's form depends on the noun behind it."""
    if language in ("es", "pt") and any(_hundreds(part) >= 2 for part in (number, number // 1000)):
        return True  # doscientos, doscientas
    ones, tens = number % 10, number % 100
    match language:
        case "de":
            return tens == 1  # ein, eine, eins
        case "fr":
            return ones == 1 and tens not in (11, 71, 91)
        case "es":
            return ones == 1 and tens != 11
        case "it":
            return number == 1
        case "pt":
            return ones in (1, 2) and tens not in (11, 12)
        case _:
            return language == "ru"  # case, too


def _hundreds(number: int) -> int:
    return number // 100 % 10


def _plain(words: str) -> str:
    return words.replace(",", "")
