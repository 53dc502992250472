"""German, French, Spanish, Italian, Portuguese and Russian: decimal commas, and numbers that agree with nouns.

A number is read where its noun is known (a unit, a currency), where it has no noun ("Kapitel 21", a year), or
where its form is the same for every noun. Russian numbers take a case: they are read only where nothing before
them asks for another than the nominative. Dates need a month's name or day.month.year.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from speech.text.reading.amounts import amount_form, decimal_words, whole_of
from speech.text.reading.calendar import YEAR, clock_rules, date_rules
from speech.text.reading.counted import counted_rules
from speech.text.reading.locales import LOCALES, Locale
from speech.text.reading.numerals import agrees, cardinal, ordinal, year
from speech.text.reading.rules import Rule, Rules

# "3. Mai", "5. Er ging": an ordinal or the end of a sentence.
_AFTER: Final = {"de": r"(?!\.\s?\w)"}


def european_reader(language: str) -> Callable[[str], str]:
    """language: de, fr, es, it, pt or ru."""
    locale = LOCALES[language]
    rules = [*counted_rules(locale), *date_rules(locale), *clock_rules(locale), *_bare(locale)]
    return Rules(rules, after=_AFTER.get(language, ""))


def _bare(locale: Locale) -> list[Rule]:
    named = rf"(?P<before>(?i:{locale.references}))"
    return [
        Rule(rf"{named} (?P<number>0|[1-9][0-9]{{0,3}})", partial(_reference, locale)),
        Rule(rf"(?P<before>{locale.before_year}) {YEAR}", partial(_year, locale)),
        *_ordinals(locale),
        Rule(amount_form(locale), partial(_alone, locale)),
    ]


def _reference(locale: Locale, match: re.Match[str]) -> str | None:
    words = cardinal(int(match["number"]), locale.language)
    return words and f"{match['before']} {words}"


def _year(locale: Locale, match: re.Match[str]) -> str | None:
    words = year(int(match["year"]), locale.language)
    return words and f"{match['before']} {words}"


def _ordinals(locale: Locale) -> list[Rule]:
    if locale.language == "fr":
        return [Rule("(?P<number>[1-9][0-9]?)(?P<sign>er|re|ère|e|ème)", _french_ordinal)]
    if not locale.ordinals:
        return []
    return [Rule("(?P<number>[1-9]|10)(?P<sign>[ºª])", partial(_southern_ordinal, locale))]


def _french_ordinal(match: re.Match[str]) -> str | None:
    number, sign = int(match["number"]), match["sign"]
    if (number == 1) != (sign in ("er", "re", "ère")):
        return None
    words = ordinal(number, "fr")
    return "première" if number == 1 and sign != "er" else words


def _southern_ordinal(locale: Locale, match: re.Match[str]) -> str | None:
    number = int(match["number"])
    if locale.language == "es" and number in (1, 3) and match["sign"] == "º":
        return None  # primero, or primer before a noun
    words = ordinal(number, locale.language)
    return words.removesuffix("o") + locale.ordinals[match["sign"]] if words.endswith("o") else None


def _alone(locale: Locale, match: re.Match[str]) -> str | None:
    """No noun that we know."""
    whole = whole_of(match)
    if match["decimals"] is not None:
        return decimal_words(locale, whole, match["decimals"])
    if agrees(whole, locale.language):
        return None
    if locale.language == "de" and 1100 <= whole < 2000 and len(match["whole"]) == 4:
        return None  # a year says its hundreds, a number its thousand
    return cardinal(whole, locale.language)
