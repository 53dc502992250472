"""The terms of a consent: checked once, at the edge, and stored as they were agreed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any, Final

from consent_service.errors import InvalidInput
from consent_service.ids import require_name
from consent_service.models import ConsentTerms
from consent_service.policy import purposes
from consent_service.policy.languages import require_language

MAX_VALIDITY_S: Final = 3653 * 24 * 3600.0  # ten years, leap days included
MAX_BUDGET: Final = 10**12  # characters: well within a database's and JSON's exact integers
_TERRITORY: Final = re.compile(r"\*|WORLD|[A-Z]{2}")  # ISO 3166-1 alpha-2
_CHANNEL: Final = re.compile(r"\*|[a-z0-9][a-z0-9_.-]{0,39}")


def checked(terms: ConsentTerms, now: float) -> ConsentTerms:
    """The terms in canonical form. Raises InvalidInput with purpose_unknown, validity_invalid,
    language_unsupported, territory_invalid, channel_invalid, budget_invalid or name_invalid."""
    require_purposes(terms.purposes)
    if not terms.languages:
        raise InvalidInput('name the languages, or "*" for all', code="language_unsupported")
    for language in terms.languages:
        if language != "*":
            require_language(language)
    if not (terms.territories and terms.channels):
        axis = "channel" if terms.territories else "territory"
        raise InvalidInput(f'name a {axis}, or "*" for any', code=f"{axis}_invalid")
    require_scope(terms.territories, terms.channels)
    # Written so that a NaN fails.
    lasts, begins_in = terms.valid_until - terms.valid_from, terms.valid_from - now
    if not (now < terms.valid_until and 0 < lasts <= MAX_VALIDITY_S and begins_in <= MAX_VALIDITY_S):
        raise InvalidInput(
            "a consent begins within ten years, ends in the future and lasts at most ten years",
            code="validity_invalid",
        )
    budget = terms.character_budget
    if budget is not None and not (type(budget) is int and 1 <= budget <= MAX_BUDGET):
        raise InvalidInput(
            f"a character budget is a whole number from 1 to {MAX_BUDGET}, or none", code="budget_invalid"
        )
    return replace(
        terms,
        grantee=require_name(terms.grantee, "a grantee"),
        purposes=_unique(terms.purposes),
        languages=_unique(terms.languages),
        territories=_unique(terms.territories),
        channels=_unique(terms.channels),
    )


def require_purposes(asked: tuple[str, ...]) -> None:
    """Raises InvalidInput (purpose_unknown)."""
    if not asked or not all(purposes.is_known(purpose) for purpose in asked):
        known = ", ".join(purposes.PURPOSES)
        raise InvalidInput(f"name one or more known purposes: {known}", code="purpose_unknown")


def require_scope(territories: tuple[str, ...], channels: tuple[str, ...]) -> None:
    """Raises InvalidInput (territory_invalid, channel_invalid)."""
    for axis, values, form in (("territory", territories, _TERRITORY), ("channel", channels, _CHANNEL)):
        if not all(form.fullmatch(value) for value in values):
            raise InvalidInput(f'a {axis} is not well formed; "*" means any', code=f"{axis}_invalid")


def to_json(terms: ConsentTerms) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(terms).items()}


def from_json(stored: Mapping[str, Any]) -> ConsentTerms:
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
    }
    return ConsentTerms(**fields)


@lru_cache(maxsize=4096)
def parse(stored: str) -> ConsentTerms:
    """The terms that a JSON text holds."""
    return from_json(json.loads(stored))


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))
