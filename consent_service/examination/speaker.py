"""One speaker, or two? Cosines of embeddings, and what follows from them.

The averages of two recordings may be alike while part of one is somebody else's: whoever puts a stranger's speech and
their own into one sample would pass. So every window must be like the other recording too, or a reviewer looks.
"""

from __future__ import annotations

from typing import Final, Protocol

from consent_service.errors import RecordingRejected
from consent_service.examination.findings import DOUBTFUL_SPEAKER, NOT_COMPARED, Finding
from consent_service.examination.process import ExaminerProcess
from consent_service.examination.recordings import Recording

SAME: Final = 0.75  # and above: accepted
DOUBTFUL: Final = 0.64  # and above: a reviewer decides; below: refused
# Of the least like window: below, a reviewer decides. One speaker's clean takes stayed above 0.63; of recordings put
# together from two speakers, all but a few with voices much alike fell below.
THROUGHOUT: Final = 0.62


class SpeakerCheck(Protocol):
    """Compares two recordings. Raises RecordingRejected (speaker_mismatch) or ExaminationUnavailable."""

    def compare(self, reference: Recording, statement: Recording) -> Finding: ...


class NoSpeakerCheck:
    """Nobody compares, and the evidence says so."""

    def compare(self, reference: Recording, statement: Recording) -> Finding:
        return Finding({"outcome": "not compared"}, NOT_COMPARED)


class Resemblyzer:
    """In a process of its own: it needs torch, and holds embeddings."""

    def __init__(self, process: ExaminerProcess) -> None:
        self._process = process

    def compare(self, reference: Recording, statement: Recording) -> Finding:
        answer = self._process.ask({"op": "compare"}, [reference.speech, statement.speech])
        score, least = float(answer["score"]), float(answer["least"])
        outcome = judge(score, least)
        if outcome == "different":
            # Without the score: whoever tries again must not learn whether it was nearer.
            raise RecordingRejected(
                "the two recordings are not of one speaker; the same person must record both",
                code="speaker_mismatch",
            )
        told = {
            "outcome": outcome,
            "score": round(score, 3),
            "least": round(least, 3),
            "same_from": SAME,
            "doubtful_from": DOUBTFUL,
            "throughout_from": THROUGHOUT,
            "model": str(answer["model"]),
            "model_sha256": str(answer["model_sha256"]),
        }
        return Finding(told, "" if outcome == "same" else DOUBTFUL_SPEAKER)


def judge(score: float, least: float) -> str:
    """same | doubtful | different. Written so that a NaN is different, or doubtful."""
    if score >= SAME and least >= THROUGHOUT:
        return "same"
    return "doubtful" if score >= DOUBTFUL else "different"
