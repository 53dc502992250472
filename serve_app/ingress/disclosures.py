"""What an application shows beside a player, and what a screen reader says: public, in ten languages."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from provenance.labels.texts import texts

router = APIRouter(tags=["clips"])


@router.get("/v1/disclosure")
async def disclosure(language: Annotated[str, Query(max_length=32)] = "en") -> dict[str, str]:
    """A short label, a description for screen readers, and the sentence that a clip may begin with. `language` in the
    answer is that of the texts, for the `lang` attribute of what shows them; English where there are none."""
    return asdict(texts(language))
