"""Korean: Chinese numerals, or Korean ones, as the counter asks. Without a counter both are possible: left alone.

번, 권, 분 and 대 count with either, by meaning, and are left alone too.
"""

from __future__ import annotations

import re
from typing import Final

from speech.text.reading.numerals import cardinal, digits
from speech.text.reading.rules import Rule, Rules

_INT: Final = r"(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|0|[1-9][0-9]{0,11})"
_AMOUNT: Final = rf"(?P<whole>{_INT})(?:\.(?P<decimals>[0-9]{{1,4}}))?"
# With Chinese numerals, written without a space. Longer ones first: 개월 is not 개.
_SINO: Final = "(?:개월|년|일|원|억|만|초(?!등)|층|세기|세(?!계)|점|킬로미터|킬로그램|미터|퍼센트|달러|유로)"
_NATIVE: Final = "(?P<counter>개(?!월|국|소)|명|살|시간|마리|잔|송이)"
_ONES: Final = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_TENS: Final = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_UNITS: Final = {
    "%": "퍼센트", "km/h": "킬로미터 매 시", "km": "킬로미터", "cm": "센티미터", "mm": "밀리미터",
    "kg": "킬로그램", "€": "유로", "$": "달러", "₩": "원", "£": "파운드", "°C": "도", "℃": "도",
}  # fmt: skip
_MONTH: Final = "(?P<number>[1-9]|1[0-2])월"
_DAY: Final = "(?P<day>[1-9]|[12][0-9]|3[01])일"
_MONTHS: Final = {6: "유월", 10: "시월"}


def native(number: int) -> str:
    """1 to 99 as they stand before a counter."""
    return "스무" if number == 20 else _TENS[number // 10] + _ONES[number % 10]


def _amount(match: re.Match[str]) -> str | None:
    words = cardinal(int(match["whole"].replace(",", "")), "ko")
    if words is None or not match["decimals"]:
        return words
    said = digits(match["decimals"], "ko")
    return said and f"{words} 점 {said}"


def _sino(match: re.Match[str]) -> str | None:
    if match["counter"] in ("만", "억") and match["whole"] == "1":
        return None  # 만 or 일만
    words = _amount(match)
    return words and words + match["counter"]


def _unit(match: re.Match[str]) -> str | None:
    words = _amount(match)
    below_zero = "마이너스 " if match.groupdict().get("minus") else ""
    return words and f"{below_zero}{words} {_UNITS[match['unit']]}"


def _month(match: re.Match[str]) -> str:
    number = int(match["number"])
    return _MONTHS.get(number) or f"{cardinal(number, 'ko')}월"


def _month_and_day(match: re.Match[str]) -> str:
    return f"{_month(match)} {cardinal(int(match['day']), 'ko')}일"


def _date(match: re.Match[str]) -> str:
    rest = _month_and_day(match) if match["day"] else _month(match)
    return f"{cardinal(int(match['year']), 'ko')}년 {rest}"


def _native(match: re.Match[str]) -> str:
    return f"{native(int(match['number']))} {match['counter']}"


def _clock(match: re.Match[str]) -> str:
    hour = int(match["hour"])
    words = f"{native(hour)} 시" if 1 <= hour <= 12 else f"{cardinal(hour, 'ko')}시"
    minute = match["minute"] or match["minutes"]
    return words + (f" {cardinal(int(minute), 'ko')} 분" if minute and int(minute) else "")


def _decimal(match: re.Match[str]) -> str | None:
    return _amount(match) if match["decimals"] else None


_UNIT: Final = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))

read_korean: Final = Rules(
    [
        Rule(rf"(?P<minus>[-−])?{_AMOUNT} ?(?P<unit>{_UNIT})", _unit),
        Rule(rf"(?P<unit>[$€£₩]){_AMOUNT}", _unit),
        Rule(f"(?P<year>[1-9][0-9]{{3}})년 {_MONTH}(?: {_DAY})?", _date),
        Rule(f"{_MONTH} {_DAY}", _month_and_day),
        Rule(_MONTH, _month),
        Rule("(?P<hour>[01]?[0-9]|2[0-3])시(?!간)(?: ?(?P<minute>[0-5]?[0-9])분)?(?P<minutes>)", _clock),
        Rule("(?<=(?:오전|오후|새벽|아침|저녁) )(?P<hour>1[0-2]|[1-9]):(?P<minute>[0-5][0-9])(?P<minutes>)", _clock),
        Rule(rf"(?P<number>[1-9][0-9]?) ?{_NATIVE}", _native),
        Rule(rf"{_AMOUNT}(?P<counter>{_SINO})", _sino),
        Rule(_AMOUNT, _decimal),
    ],
    unspaced=True,
)  # fmt: skip
