"""Japanese, by WeTextProcessing's grammar, a form at a time. Kanji numerals: the model reads them with their counter.

Long rows of digits are telephone numbers or ids, and two numbers with a colon may be a score: left alone.
"""

from __future__ import annotations

import re
from typing import Final

from speech.text.reading.rules import Rule, Rules
from speech.text.reading.wetext_grammar import grammar_reading

_INT: Final = r"(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|0|[1-9][0-9]{0,6})"
_AMOUNT: Final = rf"{_INT}(?:\.[0-9]+)?"
_ASCII: Final = str.maketrans("０１２３４５６７８９％", "0123456789%")


def _grammar(match: re.Match[str]) -> str | None:
    return grammar_reading(match.group().replace(",", "").replace(" ", ""), "ja")


def _degrees(match: re.Match[str]) -> str | None:
    words = grammar_reading(match["number"], "ja")
    return words and f"{'マイナス' if match['minus'] else ''}{words}度"


def _wide(match: re.Match[str]) -> str | None:
    return grammar_reading(match.group().translate(_ASCII), "ja")


read_japanese: Final = Rules(
    [
        Rule(r"(?<=午前|午後)(?:1?[0-9]|2[0-3]):[0-5][0-9]", _grammar),
        Rule(rf"[￥¥$€]{_AMOUNT}", _grammar),
        Rule(rf"(?P<minus>[-−])?(?P<number>{_AMOUNT}) ?(?:°C|℃)", _degrees),
        Rule(rf"{_AMOUNT} ?(?:km|cm|mm|kg|%)", _grammar),
        Rule(r"(?<![０-９．，：／])[１-９][０-９]{0,6}％?(?![０-９．，：／％])", _wide),
        Rule(_AMOUNT, _grammar),
    ],
    unspaced=True,
)
