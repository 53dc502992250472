"""Was today's sentence really spoken? A provider says so, or leaves it to the reviewer; none refuses on its own.

Recognisers err with accents, bad microphones and names, so an automatic check can spare a reviewer (where the
configuration says so) and can't turn a person away. What it heard is compared and dropped: a transcript is personal
data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from consent_service.examination.findings import NOT_CHECKED, NOT_RECOGNISED, NOT_SPOKEN, Finding
from consent_service.examination.process import ExaminerProcess
from consent_service.examination.recordings import Recording
from consent_service.examination.spoken import MAX_ERROR_RATE, MIN_WORDS_HEARD, compare


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person was asked to say. `sentence` is the whole of it, with their name."""

    language: str
    purpose: str
    nonce: str = field(repr=False)
    sentence: str = field(repr=False)


class TranscriptCheck(Protocol):
    """Raises ExaminationUnavailable; never answers "spoken" without having asked its recogniser."""

    def check(self, asked: Asked, statement: Recording) -> Finding: ...


class HumanCheck:
    """No automatic check: a reviewer who is not the enroller listens, and the evidence says so."""

    def check(self, asked: Asked, statement: Recording) -> Finding:
        return unchecked("human")


class EnglishCheck:
    """pocketsphinx, offline, in a process of its own. Of the other nine languages it knows nothing."""

    def __init__(self, process: ExaminerProcess) -> None:
        self._process = process

    def check(self, asked: Asked, statement: Recording) -> Finding:
        if asked.language != "en":
            return unchecked("human")
        answer = self._process.ask({"op": "transcribe"}, [statement.speech])
        return concluded(asked, str(answer["text"]), by=str(answer["model"]))


def unchecked(by: str) -> Finding:
    return Finding({"outcome": "not checked", "check": by}, NOT_CHECKED)


def concluded(asked: Asked, heard: str, *, by: str) -> Finding:
    """The finding that follows from a transcript."""
    compared = compare(asked.language, purpose=asked.purpose, nonce=asked.nonce, heard=heard)
    told: dict[str, Any] = {
        "outcome": "spoken" if compared.is_spoken else "not recognised",
        "check": by,
        "error_rate": round(compared.error_rate, 3),
        "error_rate_to": MAX_ERROR_RATE,
        "words_heard": compared.words_heard,
        "words": compared.words,
        "words_from": min(MIN_WORDS_HEARD, compared.words),
    }
    if compared.is_spoken:
        return Finding(told)
    return Finding(told, NOT_RECOGNISED if compared.words_heard else NOT_SPOKEN)
