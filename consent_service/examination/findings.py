"""What an examination found, as values; `evidence()` is what the ledger keeps of them: scores, thresholds and
digests of models, never an embedding, a transcript or a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

# Reasons why a reviewer must look, as they stand in the evidence.
NOT_COMPARED: Final = "speaker_not_compared"
DOUBTFUL_SPEAKER: Final = "speaker_doubtful"
NOT_CHECKED: Final = "challenge_not_checked"
NOT_RECOGNISED: Final = "challenge_not_recognised"
NOT_LOOKED_FOR: Final = "marks_not_looked_for"


@dataclass(frozen=True, slots=True)
class Finding:
    """One question's answer: what the evidence says of it, and why a reviewer must look ("" when it is answered)."""

    evidence: Mapping[str, Any]
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Examined:
    """Everything found about one pair of recordings that was not refused."""

    sound: Mapping[str, Any]
    speaker: Finding
    transcript: Finding
    marks: Finding
    doubts: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        found = (self.speaker, self.transcript, self.marks)
        object.__setattr__(self, "doubts", tuple(one.doubt for one in found if one.doubt))

    def evidence(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "sound": dict(self.sound),
            "speaker": dict(self.speaker.evidence),
            "transcript": dict(self.transcript.evidence),
            "marks": dict(self.marks.evidence),
            "doubts": list(self.doubts),
        }
