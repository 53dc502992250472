"""Chinese, by WeTextProcessing's grammar, a form at a time and with the character behind it, which decides 二 or 两.

Long rows of digits are telephone numbers or ids, and two numbers with a colon may be a score: left alone.
"""

from __future__ import annotations

import re
from typing import Final

from speech.text.reading.rules import Rule, Rules
from speech.text.reading.wetext_grammar import grammar_reading

_HAN: Final = r"[\u3400-\u9fff]"
_INT: Final = r"(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|0|[1-9][0-9]{0,6})"
_AMOUNT: Final = rf"{_INT}(?:\.[0-9]+)?"
_UNITS: Final = "(?:km|cm|mm|kg|°C|℃|%)"
_TWO_AS_A_NAME: Final = frozenset("月日号楼级班路线")  # the second of a row: 二, and 两 nowhere


_IDLE_ZEROS: Final = re.compile(r"(\.[0-9]*[1-9])0+(?![0-9])|\.0+(?![0-9])")  # 3.50元 is said 三点五元


def _plain(form: str) -> str:
    return _IDLE_ZEROS.sub(r"\1", form.replace(",", ""))


def _grammar(match: re.Match[str]) -> str | None:
    return grammar_reading(_plain(match.group()), "zh")


def _before_a_character(match: re.Match[str]) -> str | None:
    number, behind = _plain(match["number"]), match["behind"]
    words = grammar_reading(number + behind, "zh")
    if words is None or not words.endswith(behind):
        return None
    if number == "2" and words.startswith("二") and behind not in _TWO_AS_A_NAME:
        return None  # 两倍, 两次: the grammar knows some counters and not others
    return words


read_chinese: Final = Rules(
    [
        Rule(r"[0-9]{4}年[0-9]{1,2}月[0-9]{1,2}[日号]", _grammar),
        Rule(r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])", _grammar),
        Rule(r"(?<=上午|下午|早上|晚上|中午|凌晨|傍晚)(?:1?[0-9]|2[0-3]):[0-5][0-9]", _grammar),
        Rule(rf"[￥¥$€£]{_AMOUNT}", _grammar),
        Rule(rf"[-−]?{_AMOUNT} ?{_UNITS}", _grammar),
        Rule(rf"第{_INT}", _grammar),
        Rule(rf"(?P<number>{_AMOUNT})(?P<behind>{_HAN})", _before_a_character),
        Rule(_AMOUNT, _grammar),
    ],
    unspaced=True,
)
