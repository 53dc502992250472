"""Readings by WeTextProcessing's grammars (`wetext`), for Chinese, English and Japanese.

It gets one form that a rule has found beyond doubt, never a sentence: over whole sentences it also rewrites
abbreviations, versions and addresses, and stops at input that its grammar does not cover.
"""

from __future__ import annotations

import re
import threading
from functools import cache
from typing import Any, Final, Literal

_UNREAD: Final = re.compile(r"[0-9０-９%$€£¥￥₩/:]")
_lock = threading.Lock()  # its grammars are loaded on first use and shared


def grammar_reading(form: str, language: Literal["zh", "en", "ja"]) -> str | None:
    """`form` in words, or None where the grammar leaves something unread."""
    with _lock:
        try:
            words = str(_normaliser(language).normalize(form))
        except (AssertionError, ValueError, RuntimeError, IndexError):  # how it says that it cannot
            return None
    return None if not words or _UNREAD.search(words) else words


@cache
def _normaliser(language: str) -> Any:
    from wetext import Normalizer

    return Normalizer(lang=language, operator="tn")
