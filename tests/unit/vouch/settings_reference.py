"""Writes docs/settings.md from the configuration's own models, so that the two cannot drift apart.

python -m tests.unit.vouch.settings_reference > docs/settings.md
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from consent_service.http.config import ApiConfig
from consent_service.http.config_errors import models_in
from pipelines.config import NarrateConfig
from serve_app.config import AppConfig

HEAD: Final = """# Settings

Every setting, as the program itself knows it. `VOUCH_CONFIG` names a YAML file in which a section is a mapping:
`http: {port: 8000}` sets `http.port`. What the file leaves out keeps its default; an unknown name is an error that
names the nearest known one. Environment variables are in [the command line](cli.md); [operations](operations.md) has
whole examples.

**A text without a language** is read in `ingress.default_language`, which is `en` unless you set it: OpenAI's interface
has no field for a language, so German text that arrives that way is read as English, and nothing can notice. Set it
to the language of your callers, or have them send `language`.
"""
SECTIONS: Final = (
    ("The file that `VOUCH_CONFIG` names", AppConfig, ""),
    (
        "The consent service on its own",
        ApiConfig,
        "The file of `python -m consent_service.api --config`. Its section `consent` is the same as above.",
    ),
    (
        "A narration",
        NarrateConfig,
        "Made by `vouch narrate` from its options; written by hand only for `python -m pipelines --config`. Its "
        "sections `consent` and `engine` are the same as above.",
    ),
)
_UNITS: Final = (
    ("_per_s", "per second"), ("_per_minute", "per minute"), ("_bytes", "bytes"), ("_mb", "MB"), ("_days", "days"),
    ("_s", "s"), ("characters", "characters"), ("loudness", "LUFS"), ("sample_rate", "Hz"),
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """One row."""

    name: str
    kind: str
    default: str
    unit: str
    about: str


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    """Every setting of a model and of its sections, by its full name."""
    for name, info in model.model_fields.items():
        inner = models_in(info.annotation)
        about = info.description or " ".join(_first_sentence(each) for each in inner)
        yield Setting(prefix + name, _kind(info), _default(info), _unit(name), _plain(about))
        for each in inner:
            yield from settings(each, f"{prefix}{name}.")


def _first_sentence(model: type[BaseModel]) -> str:
    return re.split(r"(?<=\.)\s", _plain(model.__doc__ or ""))[0]


def render() -> str:
    """The whole document. A section that an earlier part has shown is not shown again."""
    shown: set[str] = set()
    parts = [HEAD]
    for title, model, about in SECTIONS:
        rows = [
            each
            for each in settings(model)
            if each.name.partition(".")[0] not in shown or "." not in each.name
        ]
        rows = [
            each
            for each in rows
            if not (each.name in shown and models_in(model.model_fields[each.name].annotation))
        ]
        shown |= {name for name, info in model.model_fields.items() if models_in(info.annotation)}
        lines = [f"## {title}", "", *([about, ""] if about else [])]
        lines += ["| setting | type | default | unit | |", "|---|---|---|---|---|"]
        lines += [f"| `{r.name}` | {r.kind} | {r.default} | {r.unit} | {r.about} |" for r in rows]
        parts.append("\n".join([*lines, ""]))
    return "\n".join(parts)


def _kind(info: FieldInfo) -> str:
    bounds = [
        f"{sign} {value:g}"
        for each in info.metadata
        for attribute, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if (value := getattr(each, attribute, None)) is not None
    ]
    return " ".join([_type(info.annotation), ", ".join(bounds)]).strip().replace("|", "\\|")


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " or ".join(_type(each) for each in arguments if each is not NoneType)
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in arguments)
    if origin is tuple:
        return "list"
    if origin is dict or annotation is dict:
        return "mapping"
    if models_in(annotation):
        return "section"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{each.value}`" for each in annotation)
    named = {str: "text", bool: "true or false", int: "whole number", float: "number", Path: "path"}
    return named.get(annotation, str(annotation))


def _default(info: FieldInfo) -> str:
    default = info.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return "**required**"
    if default is None or isinstance(default, BaseModel) or default in ("", (), {}):
        return "—"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _unit(name: str) -> str:
    return next((unit for ending, unit in _UNITS if name.endswith(ending)), "")


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(render())
