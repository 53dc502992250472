"""The disclaimer that a clip begins with, in its own voice.

It is part of what is said, so it is authorised, audited, marked and withdrawn with the rest: a recording of it kept
for each voice would be one more copy of that voice to guard (ADR 18).
"""

from __future__ import annotations

from typing import Final

_PAUSE: Final = "[pause 500ms]"


def disclaimed(text: str, spoken: str | None) -> str:
    """text: in canonical form. spoken: as `Profile.spoken` gives it; None for none."""
    return text if spoken is None else f"{spoken} {_PAUSE} {text}"
