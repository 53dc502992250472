"""Terms can be narrowed, never widened: every axis of the new terms lies within the old. Pure.

Widening is a new consent, because it is the person's to give. What an axis leaves out of a narrowing stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from consent_service.errors import InvalidInput
from consent_service.models import ConsentTerms, Narrowing
from consent_service.policy import purposes
from consent_service.policy.terms import checked

_AXES: Final = ("purposes", "languages", "territories", "channels", "valid_until", "character_budget")
_EVERYWHERE: Final = frozenset({"*", "WORLD"})
# The axes that a clip's record does not tell: a clip can't be shown to lie within what remains.
_UNTOLD: Final = ("languages", "territories", "channels", "outside_boundary")


def narrowed(before: ConsentTerms, wanted: Narrowing, now: float) -> ConsentTerms:
    """The new terms. Raises InvalidInput (`…_not_consented`, validity_invalid, budget_invalid) where it would widen, or
    where it names nothing."""
    given = _given(wanted)
    if not given:
        raise InvalidInput("name what is to remain of the consent: nothing was named")
    after = checked(replace(before, **given), now)
    covered = all(purposes.any_covers(before.purposes, purpose) for purpose in after.purposes)
    _require(covered, "purpose_not_consented")
    _require(_within(after.languages, before.languages), "language_not_consented")
    _require(_within(after.territories, before.territories), "territory_not_consented")
    _require(_within(after.channels, before.channels), "channel_not_consented")
    _require(after.valid_until <= before.valid_until, "validity_invalid")
    budget = before.character_budget
    _require(
        budget is None or (after.character_budget is not None and after.character_budget <= budget),
        "budget_invalid",
    )
    return after


def leaves_clips_untold(before: ConsentTerms, after: ConsentTerms) -> bool:
    """Whether something was lost of which no clip's record says whether it depended on it."""
    return any(getattr(before, axis) != getattr(after, axis) for axis in _UNTOLD)


def _given(wanted: Narrowing) -> dict[str, Any]:
    given = {axis: getattr(wanted, axis) for axis in _AXES if getattr(wanted, axis) is not None}
    return given | ({"outside_boundary": False} if wanted.inside_boundary else {})


def _within(after: Sequence[str], before: Sequence[str]) -> bool:
    return not _EVERYWHERE.isdisjoint(before) or set(after) <= set(before)


def _require(holds: bool, code: str) -> None:
    if not holds:
        raise InvalidInput("a consent can only be narrowed; to widen it is a new consent", code=code)
