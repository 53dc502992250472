"""The only markup a text may hold: `[pause 500ms]`, `[pause 1.5s]`.

Canonical form: whole milliseconds, `[pause 1500ms]`, spaces outside. It stays in the utterance, so that a grant's
digest covers it, and is not counted as characters to be said (`consent_service.grants` knows the same pattern).
Anything else in brackets is text. A pause that is out of bounds or malformed is refused rather than read aloud.
"""

from __future__ import annotations

import re
from typing import Final

from consent_service.grants import PAUSE_MARKUP
from speech.errors import TextError

PAUSE: Final = PAUSE_MARKUP  # group 1: milliseconds
LONGEST_PAUSE_S: Final = 10.0
LONGEST_SILENCE_S: Final = 60.0  # all pauses of one text: silence is cheap to ask for and not to serve

_WRITTEN: Final = re.compile(r"\[ ?pause\b([^\[\]]*)\]", re.IGNORECASE)
_LENGTH: Final = re.compile(r" ?([0-9]{1,5}(?:\.[0-9]{1,3})?) ?(ms|s) ?", re.ASCII | re.IGNORECASE)


def canonical_markup(line: str) -> str:
    """Every pause in canonical form, with single spaces around it. `line` is already canonical text.

    Raises TextError, code markup_invalid.
    """
    if "[" not in line:
        return line
    written = _WRITTEN.sub(lambda match: f" {spelled(milliseconds(match.group(1)))} ", line)
    silence_ms = sum(int(ms) for ms in PAUSE.findall(written))
    if silence_ms > 1000 * LONGEST_SILENCE_S:
        raise _invalid(f"the pauses of one text add up to at most {LONGEST_SILENCE_S:g} s")
    return re.sub(" {2,}", " ", written).strip(" ")


def spelled(pause_ms: int) -> str:
    return f"[pause {pause_ms}ms]"


def milliseconds(length: str) -> int:
    """Of "500ms" or "1.5s". Raises TextError, code markup_invalid."""
    match = _LENGTH.fullmatch(length)
    if match is None:
        raise _invalid("write a pause as [pause 500ms] or [pause 1.5s]")
    seconds = float(match.group(1)) * (0.001 if match.group(2).lower() == "ms" else 1.0)
    if not 0.001 <= seconds <= LONGEST_PAUSE_S:
        raise _invalid(f"a pause lasts between 1 ms and {LONGEST_PAUSE_S:g} s")
    return round(1000 * seconds)


def _invalid(message: str) -> TextError:
    return TextError(message, code="markup_invalid")
