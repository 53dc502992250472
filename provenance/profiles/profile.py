"""Loads and checks profiles; the directory of data beside this file is the list of them."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from provenance.errors import ProfileInvalid
from provenance.labels.texts import texts

DEFAULT = "default"


class Profile(BaseModel):
    """One profile, as its file has it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    law: tuple[str, ...] = Field(strict=False, description="What it was made for, by number.")
    spoken_disclaimer: Literal["on request", "always"] = Field(
        description="Whether every clip begins by saying that the voice is artificial, or only those asked for."
    )

    def spoken(self, language: str, *, asked: bool) -> str | None:
        """The sentence that a clip begins with; None for none."""
        return texts(language).spoken if asked or self.spoken_disclaimer == "always" else None


@cache
def load_profile(name: str) -> Profile:
    """Raises ProfileInvalid for a profile that is not there or asks for what is not known."""
    if name not in profiles():
        raise ProfileInvalid(f"no such disclosure profile; there are {', '.join(profiles())}")
    profile = parse_profile((_FOLDER / f"{name}.toml").read_text("utf-8"))
    if profile.name != name:
        raise ProfileInvalid(f"the profile in {name}.toml calls itself {profile.name}")
    return profile


def parse_profile(text: str) -> Profile:
    """Raises ProfileInvalid."""
    try:
        return Profile(**tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        raise ProfileInvalid("the profile is not TOML") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        raise ProfileInvalid(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from exc


@cache
def profiles() -> tuple[str, ...]:
    names = (one.name for one in _FOLDER.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


_FOLDER = files(__package__) / "data"
