"""Dates and clock times of the European languages, where a month's name, a context or all of year, month, day tells."""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from speech.text.reading.locales import Locale
from speech.text.reading.numerals import agrees, cardinal, ordinal, year
from speech.text.reading.rules import Rule

_DAY: Final = "(?P<day>0?[1-9]|[12][0-9]|3[01])"
YEAR: Final = "(?P<year>(?:1[1-9]|20)[0-9]{2})"
_GERMAN_DATIVE: Final = "(?P<before>[Aa]m|[Vv]om|[Zz]um|[Dd]em|[Dd]en|[Ss]eit|[Bb]is|[Aa]b)"


def date_rules(locale: Locale) -> list[Rule]:
    if not locale.months:
        return []
    month = "|".join(locale.months)
    read = partial(_date, locale)
    if locale.language == "de":
        return [
            Rule(rf"{_GERMAN_DATIVE} {_DAY}\. (?P<month>{month})(?: {YEAR})?", read),
            Rule(rf"{_GERMAN_DATIVE} {_DAY}\.(?P<number>0?[1-9]|1[0-2])\.{YEAR}", read),
        ]
    return [
        Rule(rf"{_DAY}(?:er|º|°)?{locale.joint}(?P<month>{month})(?:{locale.joint}{YEAR})?", read),
        Rule(rf"{_DAY}/(?P<number>0?[1-9]|1[0-2])/{YEAR}", read),
        Rule(rf"{YEAR}-(?P<number>0[1-9]|1[0-2])-{_DAY}", read),
    ]


def _date(locale: Locale, match: re.Match[str]) -> str | None:
    found = match.groupdict()
    month = found.get("month") or locale.months[int(found["number"]) - 1]
    number = int(found["day"])
    if locale.language == "de":
        day: str | None = f"{found['before']} {ordinal(number, 'de')}n"
    else:
        day = locale.first if number == 1 else cardinal(number, locale.language)
    parts = [day, month]
    if found["year"]:
        parts.append(year(int(found["year"]), locale.language))
    return None if None in parts else locale.joint.join(part for part in parts if part)


def clock_rules(locale: Locale) -> list[Rule]:
    hour, minute = "(?P<hour>[01]?[0-9]|2[0-3])", "(?P<minute>[0-5][0-9])"
    match locale.language:
        case "de":
            return [Rule(rf"{hour}(?:[:.]{minute})? Uhr", _german_clock)]
        case "fr":
            return [Rule(rf"{hour} ?h(?: ?{minute})?", _french_clock)]
        case _:
            before = rf"(?P<before>{locale.before_clock}) "
            return [Rule(rf"{before}{hour}[:.]{minute}", partial(_southern_clock, locale))]


def _german_clock(match: re.Match[str]) -> str | None:
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    words = "ein" if hour == 1 else cardinal(hour, "de")
    return f"{words} Uhr" + (f" {cardinal(minute, 'de')}" if minute else "")


def _french_clock(match: re.Match[str]) -> str | None:
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    words = f"{_feminine(hour)} heure{'s' if hour > 1 else ''}"
    return words + (f" {_feminine(minute)}" if minute else "")


def _feminine(number: int) -> str:
    words = cardinal(number, "fr") or ""
    return words + "e" if agrees(number, "fr") else words


def _southern_clock(locale: Locale, match: re.Match[str]) -> str | None:
    hour, minute = int(match["hour"]), int(match["minute"])
    if minute == 0 or agrees(hour, locale.language):
        return None
    said = cardinal(minute, locale.language) if minute > 9 else None
    hours = cardinal(hour, locale.language)
    return said and hours and f"{match['before']} {hours}{locale.clock_joint}{said}"
