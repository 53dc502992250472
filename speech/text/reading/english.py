"""English. A date like 11/12/2026 is read on one side of the Atlantic only, so it stays as it is written."""

from __future__ import annotations

import re
from typing import Final

from speech.text.reading.numerals import cardinal, ordinal, year
from speech.text.reading.rules import Rule, Rules
from speech.text.reading.wetext_grammar import grammar_reading

_INT: Final = r"(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|0|[1-9][0-9]{0,8})"
_MONTH_NAMES: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_MONTHS: Final = rf"(?P<month>{'|'.join(_MONTH_NAMES)}|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?)"
_DAY: Final = "(?P<day>0?[1-9]|[12][0-9]|3[01])"
_YEAR: Final = "(?P<year>(?:1[1-9]|20)[0-9]{2})"
_SCALE: Final = "(?: (?P<scale>million|billion|trillion))?"
_UNITS: Final = "(?:km/h|km|cm|mm|kg|mph|GB|MB|kHz|MHz|GHz|°C|°F)"
_MONEY: Final = {
    "$": ("dollar", "cent", "cents"),
    "€": ("euro", "cent", "cents"),
    "£": ("pound", "penny", "pence"),
}


def _number(figures: str) -> str | None:
    whole, _, decimals = figures.replace(",", "").partition(".")
    words = cardinal(int(whole), "en")
    if words is None or not decimals:
        return words
    return f"{words} point {' '.join(cardinal(int(figure), 'en') or '' for figure in decimals)}"


def _money(match: re.Match[str]) -> str | None:
    unit, cent, cents = _MONEY[match["symbol"]]
    amount, scale = match["amount"].replace(",", ""), match["scale"]
    whole, _, decimals = amount.partition(".")
    if scale:
        words = _number(match["amount"])
        return words and f"{words} {scale} {unit}s"
    if len(decimals) not in (0, 2):
        return None
    words = cardinal(int(whole), "en")
    if words is None:
        return None
    parts = (
        [f"{words} {unit}{'' if int(whole) == 1 else 's'}"] if int(whole) or not int(decimals or 0) else []
    )
    if decimals and int(decimals):
        parts.append(f"{cardinal(int(decimals), 'en')} {cent if int(decimals) == 1 else cents}")
    return " and ".join(parts)


def _grammar(match: re.Match[str]) -> str | None:
    return grammar_reading(match.group(), "en")


def _measure(match: re.Match[str]) -> str | None:
    number, unit = _number(match["amount"]), grammar_reading(f"5 {match['unit']}", "en")
    if match["amount"] == "1":
        return grammar_reading(match.group(), "en")
    return number and unit and number + unit.removeprefix("five")


def _percent(match: re.Match[str]) -> str | None:
    words = _number(match["amount"])
    return words and f"{'minus ' if match['sign'] else ''}{words} percent"


def _month_first(match: re.Match[str]) -> str | None:
    month = next(name for name in _MONTH_NAMES if name.startswith(match["month"][:3]))
    return f"{month} {ordinal(int(match['day']), 'en')} {year(int(match['year']), 'en')}"


def _date(match: re.Match[str]) -> str | None:
    return grammar_reading(match.group(), "en")


def _slashed(match: re.Match[str]) -> str | None:
    return _date(match) if int(match["day"]) > 12 else None


def _time(match: re.Match[str]) -> str | None:
    words = grammar_reading(match.group(), "en")
    ends_text = match.group().endswith(".") and match.end() == len(match.string)
    return words and (words + "." if ends_text else words)


def _decade(match: re.Match[str]) -> str | None:
    words = year(int(match["decade"]), "en")
    return words and words.removesuffix("y") + "ies"


def _plain(match: re.Match[str]) -> str | None:
    return _number(match.group())


def _year(match: re.Match[str]) -> str | None:
    return year(int(match.group()), "en")


read_english: Final = Rules(
    [
        Rule(rf"(?P<symbol>[$€£])(?P<amount>{_INT}(?:\.[0-9]{{1,2}})?){_SCALE}", _money),
        Rule(rf"(?P<sign>[-−])?(?P<amount>{_INT}(?:\.[0-9]+)?) ?%", _percent),
        Rule(rf"(?P<amount>{_INT}(?:\.[0-9]+)?) ?(?P<unit>{_UNITS})", _measure),
        Rule(rf"{_MONTHS} {_DAY}(?:st|nd|rd|th)?, {_YEAR}", _month_first),
        Rule(rf"{_DAY}(?:st|nd|rd|th)? {_MONTHS},? {_YEAR}", _date),
        Rule(rf"{_YEAR}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])", _date),
        Rule(rf"{_DAY}/(?:0?[1-9]|1[0-2])/{_YEAR}", _slashed),
        Rule(r"(?:1?[0-9]|2[0-3]):[0-5][0-9](?: ?[AaPp](?:M|m|\.m\.))?", _time),
        Rule(r"(?:1[0-2]|[1-9]) ?(?:am|pm|AM|PM|a\.m\.|p\.m\.)", _time),
        Rule(r"(?:[0-9]*1[123]th|[0-9]*(?<!1)(?:1st|2nd|3rd)|[0-9]*[04-9]th)", _grammar),
        Rule(r"(?P<decade>(?:1[1-9]|20)[1-9]0)s", _decade),
        Rule(_YEAR, _year),
        Rule(rf"{_INT}(?:\.[0-9]+)?", _plain),
    ]
)  # fmt: skip
