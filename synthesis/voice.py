"""Which voice is meant: a preset speaker, a voice described in words, or a voice of the ledger.

The text form is a contract: scripts, grants, keys' claims and the log hold `preset:NAME`, `design` or the id of a
voice. Both doors and the command line parse and format it here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from consent_service.grants import DESIGN_VOICE, PRESET_PREFIX, Basis, Grant


@dataclass(frozen=True, slots=True)
class Preset:
    """A speaker that ships with the model."""

    name: str

    def __str__(self) -> str:
        return f"{PRESET_PREFIX}{self.name}"


@dataclass(frozen=True, slots=True)
class Design:
    """A voice described in words, for one clip."""

    def __str__(self) -> str:
        return DESIGN_VOICE


@dataclass(frozen=True, slots=True)
class LedgerVoice:
    """An enrolled voice, or a designed voice that was kept."""

    voice_id: str

    def __str__(self) -> str:
        return self.voice_id


VoiceRef: TypeAlias = Preset | Design | LedgerVoice


def parse_voice(text: str) -> VoiceRef:
    """The reverse of `str`. Whether there is such a voice, the gate and the engine decide."""
    if text.startswith(PRESET_PREFIX):
        return Preset(text.removeprefix(PRESET_PREFIX))
    return Design() if text == DESIGN_VOICE else LedgerVoice(text)


def find_voice(text: str, speakers: Iterable[str]) -> Preset | LedgerVoice:
    """For callers who name a voice and not its kind: one of `speakers`, in any case and with or without the prefix, as
    the engine spells it; else a voice of the ledger."""
    name = text.removeprefix(PRESET_PREFIX).casefold()
    found = next((speaker for speaker in speakers if speaker.casefold() == name), None)
    return LedgerVoice(text) if found is None else Preset(found)


def voice_of(grant: Grant) -> VoiceRef:
    """By the grant's basis, and not by how its voice is spelt."""
    match grant.basis:
        case Basis.PRESET:
            return Preset(grant.voice_id.removeprefix(PRESET_PREFIX))
        case Basis.DESIGN:
            return Design()
        case Basis.CONSENT | Basis.DESIGNED:
            return LedgerVoice(grant.voice_id)
