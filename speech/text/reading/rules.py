"""How a stretch of text becomes words: rules, of which the first whose form fits reads the stretch or leaves it.

A form counts only where it stands alone. What touches letters, other digits or the signs of addresses, versions,
ranges and formulas is something else than a number, and a number beside a number ("555 1234") is half of one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

Read: TypeAlias = Callable[[re.Match[str]], str | None]  # None: in doubt, stays as written

_WIDE: Final = r"／＼＋－＠＃＆＝～〜＿＊｜＜＞＄"  # as Chinese and Japanese write them
_SIGNS: Final = rf"/\\+\-−–—@#&=~_^*|<>$€£¥￥₩₽'’ºª{_WIDE}"
_BEFORE: Final = rf"(?<![{{word}}{_SIGNS}.,:;%°])(?<![0-9] )(?<![0-9０-９][．，：；])"
_AFTER: Final = rf"(?![{{word}}{_SIGNS}%°％])(?![.,:;．，：；][0-9０-９])(?!\)? ?[0-9%°])"
_IN_WORDS: Final = {False: r"\w", True: r"A-Za-z0-9０-９_"}  # unspaced scripts may touch a number


@dataclass(frozen=True, slots=True)
class Rule:
    """form: a regular expression for `re`, with named groups."""

    form: str
    read: Read


class Rules:
    """The rules of one language. The leftmost form wins, then the earlier rule; a stretch is read once."""

    def __init__(self, rules: Sequence[Rule], *, unspaced: bool = False, after: str = "") -> None:
        """after: what else must hold behind a form, as a lookahead."""
        word = _IN_WORDS[unspaced]
        before, behind = _BEFORE.replace("{word}", word), _AFTER.replace("{word}", word) + after
        self._rules = [(re.compile(f"{before}(?:{rule.form}){behind}"), rule.read) for rule in rules]

    def __call__(self, text: str) -> str:
        found = [
            (match.start(), rank, match, read)
            for rank, (form, read) in enumerate(self._rules)
            for match in form.finditer(text)
        ]
        parts: list[str] = []
        done = 0
        for start, _, match, read in sorted(found, key=lambda one: one[:2]):
            if start < done:
                continue
            words = read(match)
            parts += [text[done:start], match.group() if words is None else words]
            done = match.end()
        return "".join(parts) + text[done:]
