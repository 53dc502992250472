"""One speaker, or two? A cosine of two embeddings, and what follows from it."""

from __future__ import annotations

from typing import Final, Protocol

from consent_service.errors import RecordingRejected
from consent_service.examination.findings import DOUBTFUL_SPEAKER, NOT_COMPARED, Finding
from consent_service.examination.process import ExaminerProcess
from consent_service.recordings import Recording

SAME: Final = 0.75  # and above: accepted
DOUBTFUL: Final = 0.64  # and above: a reviewer decides; below: refused


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
        score = float(answer["score"])
        outcome = judge(score)
        if outcome == "different":
            # Without the score: whoever tries again must not learn whether it was nearer.
            raise RecordingRejected(
                "the two recordings are not of one speaker; the same person must record both",
                code="speaker_mismatch",
            )
        told = {
            "outcome": outcome,
            "score": round(score, 3),
            "same_from": SAME,
            "doubtful_from": DOUBTFUL,
            "model": str(answer["model"]),
            "model_sha256": str(answer["model_sha256"]),
        }
        return Finding(told, "" if outcome == "same" else DOUBTFUL_SPEAKER)


def judge(score: float) -> str:
    """same | doubtful | different. Written so that a NaN is different."""
    if score >= SAME:
        return "same"
    return "doubtful" if score >= DOUBTFUL else "different"
