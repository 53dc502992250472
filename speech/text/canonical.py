"""The canonical form of one string, before anything in it is understood.

Canonical: Unicode NFC (UAX #15), one line, single spaces, none at the ends, no invisible format characters.
What has no honest canonical form is refused, never repaired: control characters, unpaired surrogates, private
use, noncharacters, bidirectional overrides (they show a reader something else than is spoken, CVE-2021-42574)
and the model's own control tokens, which would let a text rewrite the prompt. No message holds the text.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from speech.errors import TextError

_LINE_BREAKS: Final = frozenset("\n\r\t")
_BIDI_OVERRIDES: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SPACES: Final = frozenset({"Zs", "Zl", "Zp"})
_REFUSED: Final = {
    "Cc": "a control character",
    "Cs": "half of a surrogate pair",
    "Co": "a private-use character",
}
_CONTROL_TOKEN: Final = re.compile(r"<\|[^<>|]{1,40}\|>|<tts_[a-z_]{1,40}>")
_RAW_FACTOR: Final = 4  # raw text may be this much longer than canonical before we stop looking


def canonical(text: str, *, limit: int, what: str = "text", too_long: str = "text_too_long") -> str:
    """The canonical form of one string, which may be empty. `limit` counts code points after normalisation.

    Raises TextError: `too_long` or text_control_characters.
    """
    if len(text) > _RAW_FACTOR * limit:
        raise _too_long(what, limit, too_long)
    visible = "".join(_visible(character, what) for character in text)
    composed = unicodedata.normalize("NFC", visible)
    # Again after composing: a few spaces decompose into other spaces.
    line = "".join(" " if unicodedata.category(c) in _SPACES else c for c in composed)
    line = re.sub(" {2,}", " ", line).strip(" ")
    if _CONTROL_TOKEN.search(line):
        raise TextError(
            f"the {what} holds a control token of the speech model, such as <|…|>; remove it",
            code="text_control_characters",
        )
    if len(line) > limit:
        raise _too_long(what, limit, too_long)
    return line


def _visible(character: str, what: str) -> str:
    """The character as it stays in the text: itself, a space, or nothing."""
    if character in _LINE_BREAKS:
        return " "
    category = unicodedata.category(character)
    if character in _BIDI_OVERRIDES:
        raise _refused(character, "a bidirectional override", what)
    if category == "Cf":  # zero-width characters, soft hyphens, tags: nobody sees them and nobody says them
        return ""
    if category in _REFUSED:
        raise _refused(character, _REFUSED[category], what)
    point = ord(character)
    if 0xFDD0 <= point <= 0xFDEF or point & 0xFFFE == 0xFFFE:
        raise _refused(character, "a noncharacter", what)
    return " " if category in _SPACES else character


def _refused(character: str, kind: str, what: str) -> TextError:
    return TextError(
        f"the {what} holds {kind} (U+{ord(character):04X}); remove it", code="text_control_characters"
    )


def _too_long(what: str, limit: int, code: str) -> TextError:
    return TextError(f"the {what} is longer than {limit} characters; split it", code=code)
