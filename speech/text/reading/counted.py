"""Amounts of something that we know: money, percent, units. The noun settles how the number agrees."""

from __future__ import annotations

import re
from functools import partial

from speech.text.reading.amounts import amount_form, decimal_words, whole_of
from speech.text.reading.locales import Locale, Noun
from speech.text.reading.numerals import agrees, cardinal
from speech.text.reading.rules import Rule


def counted_rules(locale: Locale) -> list[Rule]:
    signs = "|".join(re.escape(sign) for sign in sorted(locale.nouns, key=len, reverse=True))
    before = f"(?:(?P<governing>{locale.governing}) )?" if locale.language == "ru" else ""
    read = partial(_counted, locale)
    return [
        Rule(rf"{before}(?P<minus>[-−])?{amount_form(locale)} ?(?P<sign>{signs})", read),
        Rule(rf"(?P<minus>)(?P<sign>R\$|[€$£₽]) ?{amount_form(locale)}", read),
    ]


def _counted(locale: Locale, match: re.Match[str]) -> str | None:
    if match.groupdict().get("governing") or match["sign"] not in locale.nouns:
        return None
    noun = locale.nouns[match["sign"]]
    whole, decimals = whole_of(match), match["decimals"]
    money = match["sign"] in ("€", "$", "£", "R$", "₽", "руб.")
    if money and decimals is not None:
        words = _money(locale, whole, decimals, noun)
    elif decimals is not None:
        words = _joined(decimal_words(locale, whole, decimals), _of_decimal(locale, whole, noun))
    else:
        words = _joined(_counting(whole, noun, locale), _form(whole, noun, locale))
    if words is None:
        return None
    # "руб." at the end of the text is also the end of the sentence.
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


def _joined(number: str | None, noun: str) -> str | None:
    return None if number is None else f"{number} {noun}"
