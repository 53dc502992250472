"""What people are told, in ten languages: on a screen, to a screen reader, and at the start of a clip."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

FALLBACK = "en"


@dataclass(frozen=True, slots=True)
class Texts:
    """label: a few words beside a player. description: the whole of it, for a screen reader (WCAG 2.2, 1.1.1).
    spoken: what a clip begins with where a spoken disclaimer is asked for."""

    language: str  # BCP 47, for the `lang` attribute of what shows it
    label: str
    description: str
    spoken: str


def texts(language: str) -> Texts:
    """Of a language, or of the language that a regional variant belongs to; English for what is not there."""
    known = all_texts()
    return known.get(language) or known.get(language.partition("-")[0]) or known[FALLBACK]


@cache
def all_texts() -> Mapping[str, Texts]:
    raw = tomllib.loads((files(__package__) / "data" / "texts.toml").read_text("utf-8"))
    return MappingProxyType({code: Texts(code, **one) for code, one in raw.items()})
