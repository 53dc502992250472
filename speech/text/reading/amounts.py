"""Amounts with a decimal comma, as they are written and as they are said."""

from __future__ import annotations

import re

from speech.text.reading.locales import Locale
from speech.text.reading.numerals import cardinal, digits


def amount_form(locale: Locale) -> str:
    """The form of an amount, with the groups `whole` and `decimals`."""
    # Spanish 1.234 is a thousand in Madrid and a decimal in Mexico; 1.234.567 is the same in both.
    groups = "{2,3}" if locale.language == "es" else "{1,3}"
    return (
        rf"(?P<whole>[1-9][0-9]{{0,2}}(?:{locale.thousands}[0-9]{{3}}){groups}|0|[1-9][0-9]{{0,11}})"
        r"(?:,(?P<decimals>[0-9]{1,4}))?"
    )


def whole_of(match: re.Match[str]) -> int:
    return int(re.sub("[ .]", "", match["whole"]))


def decimal_words(locale: Locale, whole: int, decimals: str) -> str | None:
    """As "drei Komma eins vier"; two decimals as one number where that is usual ("trois virgule quatorze")."""
    if locale.language == "ru":
        from decimal import Decimal

        from num2words import num2words

        return str(num2words(Decimal(f"{whole}.{decimals}"), lang="ru")) if len(decimals) <= 2 else None
    as_number = locale.language != "de" and len(decimals) == 2 and decimals[0] != "0"
    said = cardinal(int(decimals), locale.language) if as_number else digits(decimals, locale.language)
    units = cardinal(whole, locale.language)
    return None if said is None or units is None else f"{units} {locale.comma} {said}"
