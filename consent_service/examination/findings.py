"""What an examination found, as values; `evidence()` is what the ledger keeps of them: scores, thresholds and
digests of models, never an embedding, a transcript or a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

# Reasons why a reviewer must look, as they stand in the evidence.
NOT_COMPARED: Final = "speaker_not_compared"
DOUBTFUL_SPEAKER: Final = "speaker_doubtful"
NOT_CHECKED: Final = "challenge_not_checked"
NOT_RECOGNISED: Final = "challenge_not_recognised"
NOT_SPOKEN: Final = "challenge_not_spoken"
NOT_LOOKED_FOR: Final = "marks_not_looked_for"
DOUBTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        NOT_COMPARED: "nobody has compared the two recordings: listen whether one person speaks in both",
        DOUBTFUL_SPEAKER: "the voices are alike, but not beyond doubt: listen whether one person speaks in both",
        NOT_CHECKED: "no program has checked the words: listen whether the sentence is spoken, word for word",
        NOT_RECOGNISED: "the sentence was not clearly recognised: listen whether it is spoken, word for word",
        NOT_SPOKEN: "none of the drawn words was recognised: it may be an older recording, or another sentence",
        NOT_LOOKED_FOR: "no program has looked for marks of synthetic speech: listen whether a machine speaks",
    }
)  # in plain words


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
