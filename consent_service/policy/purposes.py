"""What a voice may be used for: the known purposes, and which one covers which.

Terms are dotted paths. A purpose covers itself and what lies below it (`training` covers
`training.internal`), never the reverse: whoever consented to an audiobook did not consent to every narration.
Where W3C's Data Privacy Vocabulary (DPV 2) has a term, it is named, so that a receipt can be read beside
other organisations' records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from consent_service.proofs.vocabulary import NAMESPACE

# Purpose → nearest DPV term. A term without one of its own maps to its parent's.
PURPOSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "accessibility": "dpv:ServiceProvision",
        "advertising": "dpv:Advertising",
        "assistant": "dpv:ServiceProvision",
        "assistant.customer_service": "dpv:CustomerCare",
        "character": "dpv:ServiceProvision",
        "character.game": "dpv:ServiceProvision",
        "dubbing": "dpv:ServiceProvision",
        "narration": "dpv:ServiceProvision",
        "narration.audiobook": "dpv:ServiceProvision",
        "narration.documentary": "dpv:ServiceProvision",
        "narration.elearning": "dpv:ServiceProvision",
        "narration.news": "dpv:ServiceProvision",
        "research": "dpv:ResearchAndDevelopment",
        "training": "dpv:PersonnelManagement",
        "training.internal": "dpv:PersonnelManagement",
    }
)


def iri(purpose: str) -> str:
    """The purpose's name among everybody's: a term of the local namespace (`proofs.vocabulary`)."""
    return f"{NAMESPACE}{purpose}"


def is_known(purpose: str) -> bool:
    return purpose in PURPOSES


def covers(held: str, asked: str) -> bool:
    """Whether someone who holds `held` holds `asked` too."""
    return asked == held or asked.startswith(held + ".")


def any_covers(held: Iterable[str], asked: str) -> bool:
    return any(covers(purpose, asked) for purpose in held)
