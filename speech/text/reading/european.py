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

from speech.text.reading.locales import LOCALES, Locale, Noun
from speech.text.reading.numerals import agrees, cardinal, digits, ordinal, year
from speech.text.reading.rules import Rule, Rules

_DAY: Final = "(?P<day>0?[1-9]|[12][0-9]|3[01])"
_YEAR: Final = "(?P<year>(?:1[1-9]|20)[0-9]{2})"
# "3. Mai", "5. Er ging": an ordinal or the end of a sentence.
_AFTER: Final = {"de": r"(?!\.\s?\w)"}
_GERMAN_DATIVE: Final = "(?P<before>[Aa]m|[Vv]om|[Zz]um|[Dd]em|[Dd]en|[Ss]eit|[Bb]is|[Aa]b)"


def european_reader(language: str) -> Callable[[str], str]:
    """language: de, fr, es, it, pt or ru."""
    locale = LOCALES[language]
    rules = [*_with_nouns(locale), *_dates(locale), *_clock(locale), *_bare(locale)]
    return Rules(rules, after=_AFTER.get(language, ""))


def _amount(locale: Locale) -> str:
    return (
        rf"(?P<whole>[1-9][0-9]{{0,2}}(?:{locale.thousands}[0-9]{{3}})+|0|[1-9][0-9]{{0,11}})"
        r"(?:,(?P<decimals>[0-9]{1,4}))?"
    )


def _with_nouns(locale: Locale) -> list[Rule]:
    signs = "|".join(re.escape(sign) for sign in sorted(locale.nouns, key=len, reverse=True))
    before = f"(?<!%)(?:(?P<governing>{locale.governing}) )?" if locale.language == "ru" else ""
    read = partial(_counted, locale)
    return [
        Rule(rf"{before}(?P<minus>[-−])?{_amount(locale)} ?(?P<sign>{signs})", read),
        Rule(rf"(?P<minus>)(?P<sign>R\$|[€$£₽]) ?{_amount(locale)}", read),
    ]


def _counted(locale: Locale, match: re.Match[str]) -> str | None:
    if match.groupdict().get("governing") or match["sign"] not in locale.nouns:
        return None
    noun = locale.nouns[match["sign"]]
    whole, decimals = _whole(match), match["decimals"]
    money = match["sign"] in ("€", "$", "£", "R$", "₽", "руб.")
    if money and decimals is not None:
        words = _money(locale, whole, decimals, noun)
    elif decimals is not None:
        words = _joined(_decimal(locale, whole, decimals), _of_decimal(locale, whole, noun))
    else:
        words = _joined(_counting(whole, noun, locale), _form(whole, noun, locale))
    if words is None:
        return None
    stop = "." if match["sign"].endswith(".") and match.end() == len(match.string) else ""
    return f"{locale.minus if match['minus'] else ''} {words}{stop}".strip()


def _money(locale: Locale, whole: int, decimals: str, noun: Noun) -> str | None:
    if len(decimals) != 2 or locale.language == "ru" or (whole == 0 and int(decimals)):
        return None
    units = _joined(_counting(whole, noun, locale), _form(whole, noun, locale))
    if int(decimals) == 0:
        return units
    hundredths = cardinal(int(decimals), locale.language)
    return None if units is None or hundredths is None else units + locale.hundredths + hundredths


def _counting(number: int, noun: Noun, locale: Locale) -> str | None:
    """The cardinal as it stands before the noun."""
    if number >= 1_000_000 and number % 1_000_000 == 0 and locale.language not in ("de", "ru"):
        return None  # un million d'euros
    if locale.language == "ru":
        return cardinal(number, "ru", gender=noun.gender)
    words = cardinal(number, locale.language)
    if words is None or not agrees(number, locale.language):
        return words
    if noun.gender != "m":
        return None
    match locale.language:
        case "de":
            return words.removesuffix("s") if words.endswith("eins") else words
        case "es" if words.endswith("veintiuno"):
            return words.removesuffix("uno") + "ún"
        case "es" | "it":
            return words.removesuffix("o") if words.endswith("uno") else words
        case _:
            return words


def _form(number: int, noun: Noun, locale: Locale) -> str:
    if locale.language == "ru":
        ones, tens = number % 10, number % 100
        if ones == 1 and tens != 11:
            return noun.one
        return noun.few if 2 <= ones <= 4 and not 12 <= tens <= 14 else noun.many
    return noun.one if number == 1 or (number == 0 and locale.language == "fr") else noun.many


def _of_decimal(locale: Locale, whole: int, noun: Noun) -> str:
    if locale.language == "ru":
        return noun.few
    return noun.one if locale.language == "fr" and whole < 2 else noun.many


def _decimal(locale: Locale, whole: int, decimals: str) -> str | None:
    if locale.language == "ru":
        from decimal import Decimal

        from num2words import num2words

        return str(num2words(Decimal(f"{whole}.{decimals}"), lang="ru")) if len(decimals) <= 2 else None
    as_number = locale.language != "de" and len(decimals) == 2 and decimals[0] != "0"
    said = cardinal(int(decimals), locale.language) if as_number else digits(decimals, locale.language)
    units = cardinal(whole, locale.language)
    return None if said is None or units is None else f"{units} {locale.comma} {said}"


def _dates(locale: Locale) -> list[Rule]:
    if not locale.months:
        return []
    month = "|".join(locale.months)
    read = partial(_date, locale)
    if locale.language == "de":
        return [
            Rule(rf"{_GERMAN_DATIVE} {_DAY}\. (?P<month>{month})(?: {_YEAR})?", read),
            Rule(rf"{_GERMAN_DATIVE} {_DAY}\.(?P<number>0?[1-9]|1[0-2])\.{_YEAR}", read),
        ]
    return [
        Rule(rf"{_DAY}(?:er|º|°)?{locale.joint}(?P<month>{month})(?:{locale.joint}{_YEAR})?", read),
        Rule(rf"{_DAY}/(?P<number>0?[1-9]|1[0-2])/{_YEAR}", read),
        Rule(rf"{_YEAR}-(?P<number>0[1-9]|1[0-2])-{_DAY}", read),
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


def _clock(locale: Locale) -> list[Rule]:
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


def _bare(locale: Locale) -> list[Rule]:
    named = rf"(?P<before>(?i:{locale.references}))"
    return [
        Rule(rf"{named} (?P<number>0|[1-9][0-9]{{0,3}})", partial(_reference, locale)),
        Rule(rf"(?P<before>{locale.before_year}) {_YEAR}", partial(_year, locale)),
        *_ordinals(locale),
        Rule(_amount(locale), partial(_alone, locale)),
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
    """No noun that we know. A single group of thousands could also be a decimal, where points are both."""
    whole = _whole(match)
    if match["decimals"] is not None:
        return _decimal(locale, whole, match["decimals"])
    if agrees(whole, locale.language):
        return None
    if locale.language == "de" and 1100 <= whole < 2000 and len(match["whole"]) == 4:
        return None  # a year says its hundreds, a number its thousand
    return cardinal(whole, locale.language)


def _whole(match: re.Match[str]) -> int:
    return int(re.sub("[ .]", "", match["whole"]))


def _joined(number: str | None, noun: str) -> str | None:
    return None if number is None else f"{number} {noun}"
