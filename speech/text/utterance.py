"""`prepare` makes an utterance, `check` refuses one that it did not make. No message holds the text."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

from consent_service.grants import Utterance
from speech.errors import TextError
from speech.languages import language_code
from speech.text.canonical import canonical
from speech.text.lexicon import Lexicon
from speech.text.markup import PAUSE, canonical_markup
from speech.text.normal import normalise

MAX_CHARACTERS: Final = 4096
MAX_INSTRUCT_CHARACTERS: Final = 1000
TEXT_VERSION: Final = (
    3  # of what `prepare` makes of a text: part of whatever remembers a text as it was written
)

_SETTLES_WITHIN: Final = 3


def prepare(
    text: str,
    language: str,
    instruct: str = "",
    *,
    lexicon: Mapping[str, str] | None = None,
    max_characters: int = MAX_CHARACTERS,
    max_instruct_characters: int = MAX_INSTRUCT_CHARACTERS,
) -> Utterance:
    """The utterance: canonical, lexicon applied, numbers in words. Preparing its own output changes nothing.

    text, instruct: any Unicode string. language: see `languages.language_code`. lexicon: word → respelling.
    max_characters: of the text as it is said, so after it has grown. Raises TextError: text_empty,
    text_too_long, text_control_characters, instruct_too_long, language_unsupported, markup_invalid,
    lexicon_invalid.
    """
    code = language_code(language)
    line = _line(text, max_characters)
    if lexicon:
        respelled = _outside_pauses(line, Lexicon.of(lexicon).apply)
        line = _line(respelled, max_characters)
    said = _settled(line, code, max_characters)
    _refuse_silence(said)
    style = canonical(
        instruct, limit=max_instruct_characters, what="instruction", too_long="instruct_too_long"
    )
    return Utterance(said, code, style)


def check(utterance: Utterance, *, max_characters: int = MAX_CHARACTERS) -> None:
    """Refuse what is not in the form that `prepare` gives: an engine speaks canonical text only.

    Whether numbers could be read otherwise is not asked again: the grant stands for these very words, and an
    engine must not refuse them because it runs a newer normaliser than the door. Raises TextError, with code
    text_invalid where only the form is wrong.
    """
    said = _line(utterance.text, max_characters)
    style = canonical(
        utterance.instruct,
        limit=MAX_INSTRUCT_CHARACTERS,
        what="instruction",
        too_long="instruct_too_long",
    )
    _refuse_silence(said)
    if Utterance(said, language_code(utterance.language), style) != utterance:
        raise TextError("the utterance is not in canonical form; build it with speech.text.prepare")


def _line(text: str, limit: int) -> str:
    return canonical_markup(canonical(text, limit=limit, what="text", too_long="text_too_long"))


def _settled(line: str, language: str, limit: int) -> str:
    """The line with its numbers read, where reading it again changes nothing; else as it was."""
    current = line
    for _ in range(_SETTLES_WITHIN):
        read = _line(_outside_pauses(current, lambda part: normalise(part, language)), limit)
        if read == current:
            return current
        current = read
    return line


def _outside_pauses(line: str, change: Callable[[str], str]) -> str:
    """`change` for each stretch between pauses, the pauses as they are."""
    places = [0, *(edge for match in PAUSE.finditer(line) for edge in match.span()), len(line)]
    stretches = [line[start:end] for start, end in pairwise(places)]
    return "".join(part if index % 2 else change(part) for index, part in enumerate(stretches))


def _refuse_silence(said: str) -> None:
    spoken = PAUSE.sub(" ", said)
    if not any(unicodedata.category(character)[0] in "LN" for character in spoken):
        raise TextError("the text has no letter or digit, so there is nothing to say", code="text_empty")
