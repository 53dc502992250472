"""The ten languages, and the names that callers, the model and eSpeak NG know them by.

Inside the house a language is an ISO 639-1 code. Callers may also write its English name ("English") or a
regional tag (BCP 47: "en-US", "zh-Hans-CN"); the region is dropped, as no engine here speaks dialects by tag.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from speech.errors import TextError


@dataclass(frozen=True, slots=True)
class Language:
    """code: ISO 639-1. name: English, as callers and `qwen_tts` write it. espeak_voice: eSpeak NG voice."""

    code: str
    name: str
    espeak_voice: str


_ALL: Final = (
    Language("zh", "Chinese", "cmn"),
    Language("en", "English", "en-us"),
    Language("ja", "Japanese", "ja"),
    Language("ko", "Korean", "ko"),
    Language("de", "German", "de"),
    Language("fr", "French", "fr"),  # not "fr-fr": eSpeak NG refuses that name
    Language("ru", "Russian", "ru"),
    Language("pt", "Portuguese", "pt"),
    Language("es", "Spanish", "es"),
    Language("it", "Italian", "it"),
)
LANGUAGES: Final = {language.code: language for language in _ALL}
CODES: Final = tuple(LANGUAGES)

_BY_NAME: Final = {language.name.casefold(): language.code for language in _ALL}
# Language, optional script, optional region. No extended language: "zh-yue" is Cantonese and not offered.
_TAG: Final = re.compile(r"([a-z]{2})(?:[-_][a-z]{4})?(?:[-_](?:[a-z]{2}|[0-9]{3}))?")


def language_code(name: str) -> str:
    """ISO 639-1 code of a code, an English name or a regional tag, in any case.

    Raises TextError (language_unsupported), naming the ten.
    """
    folded = name.strip().casefold()
    by_name = _BY_NAME.get(folded)
    if by_name is not None:
        return by_name
    tag = _TAG.fullmatch(folded)
    if tag is not None and tag.group(1) in LANGUAGES:
        return tag.group(1)
    offered = ", ".join(f"{language.name} ({language.code})" for language in _ALL)
    raise TextError(f"this language is not offered; choose one of {offered}", code="language_unsupported")
