"""What is wrong with a configuration, in words for the person who wrote it.

Says where and why, and never what was written there: it may be a password.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

_UNKNOWN: Final = "extra_forbidden"


def explain(exc: ValidationError, model: type[BaseModel]) -> str:
    """One sentence for each error, by the setting's full name. model: what was validated."""
    errors = exc.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(_sentence(error["type"], error["loc"], error["msg"], model) for error in errors)


def _sentence(kind: str, place: Sequence[int | str], message: str, model: type[BaseModel]) -> str:
    name = ".".join(map(str, place)) or "file"
    if kind != _UNKNOWN or not place:
        return f"{name}: {message}"
    parent = [str(part) for part in place[:-1]]
    known = _names(model, parent)
    near = [".".join([*parent, each]) for each in get_close_matches(str(place[-1]), known, n=1)]
    meant = near or _elsewhere(str(place[-1]), model)
    if meant:
        return f"no setting is called {name}; did you mean {' or '.join(meant)}?"
    return f"no setting is called {name}; here are: {', '.join(sorted(known))}"


def _elsewhere(name: str, model: type[BaseModel]) -> list[str]:
    """Settings of this name, or one like it, in other sections; the outermost first."""
    by_name: dict[str, list[str]] = {}
    for path in sorted(_paths(model), key=lambda path: path.count(".")):
        by_name.setdefault(path.rpartition(".")[2], []).append(path)
    near = get_close_matches(name, by_name, n=1, cutoff=0.75)
    return [path for each in near for path in by_name[each]][:2]


def _names(model: type[BaseModel], parent: Sequence[str]) -> list[str]:
    """The settings that stand beside an unknown one."""
    found: list[type[BaseModel]] = [model]
    for part in parent:
        fields = [each.model_fields[part].annotation for each in found if part in each.model_fields]
        found = [inner for annotation in fields for inner in models_in(annotation)] or found
    return list(dict.fromkeys(name for each in found for name in each.model_fields))


def _paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, setting in model.model_fields.items():
        yield prefix + name
        for inner in models_in(setting.annotation):
            yield from _paths(inner, f"{prefix}{name}.")


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a setting may hold: `KmsConfig | None` holds one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in models_in(inner)]
