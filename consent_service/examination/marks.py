"""Synthetic speech can't consent: a program of another room looks for marks, ours and others'.

It is named by a command, so that this room imports nothing of the one that marks. It gets the files as they came,
since a signed manifest lies in their metadata, and what our own are known by: a certificate, and the keys of the
watermark, which it holds in memory alone. Its answer is one object per file:

    {"marks": ["presence_mark", …],  "clip": {"clip_id", "basis", "intact"} | null,  "presence": 0.04 | null}

`marks` names what makes a file synthetic; `clip` is set where our own signed manifest names a clip.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from consent_service.errors import ExaminationUnavailable, RecordingRejected
from consent_service.examination.findings import NOT_LOOKED_FOR, Finding
from consent_service.examination.process import ExaminerProcess

OWN: Final = (sys.executable, "-P", "-m", "provenance.examine")


@dataclass(frozen=True, slots=True)
class KnownMarks:
    """What our own clips are known by. anchor: the root certificate of our manifests, PEM; watermark_keys: epoch → 32
    bytes."""

    anchor: bytes
    watermark_keys: Mapping[int, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class OwnClip:
    """A clip that a file's manifest names, signed under our root. intact: the file is what was signed."""

    clip_id: str
    basis: str
    intact: bool


class MarkCheck(Protocol):
    """Raises RecordingRejected (recording_synthetic) or ExaminationUnavailable."""

    def unmarked(self, known: KnownMarks, files: Sequence[bytes]) -> Finding: ...

    def own_clip(self, known: KnownMarks, file: bytes) -> OwnClip | None: ...


class NoMarkCheck:
    """Nobody looks. The evidence says so, and nothing can be shown to be our own."""

    def unmarked(self, known: KnownMarks, files: Sequence[bytes]) -> Finding:
        return Finding({"outcome": "not looked for"}, NOT_LOOKED_FOR)

    def own_clip(self, known: KnownMarks, file: bytes) -> OwnClip | None:
        raise ExaminationUnavailable(
            "nobody looks for marks here; configure examination.marks to keep designed voices"
        )


class MarkProcess:
    """The command of the configuration."""

    def __init__(self, process: ExaminerProcess) -> None:
        self._process = process

    def unmarked(self, known: KnownMarks, files: Sequence[bytes]) -> Finding:
        looked = self._look(known, files)
        if any(one["marks"] for one in looked):
            raise RecordingRejected(
                "a recording is marked as synthetic; a person's own voice must be recorded, unprocessed",
                code="recording_synthetic",
            )
        scores = [one.get("presence") for one in looked]
        told = [None if score is None else round(float(score), 3) for score in scores]
        return Finding({"outcome": "none found", "presence": told})

    def own_clip(self, known: KnownMarks, file: bytes) -> OwnClip | None:
        (looked,) = self._look(known, [file])
        clip = looked.get("clip")
        if not isinstance(clip, Mapping):
            return None
        return OwnClip(str(clip.get("clip_id")), str(clip.get("basis")), clip.get("intact") is True)

    def _look(self, known: KnownMarks, files: Sequence[bytes]) -> list[Mapping[str, Any]]:
        ours = {
            "anchor": known.anchor.decode("ascii"),
            "keys": {str(epoch): key.hex() for epoch, key in known.watermark_keys.items()},
        }
        answer = self._process.ask({"op": "look", **ours}, files)
        looked = answer.get("files")
        if not isinstance(looked, list) or len(looked) != len(files) or not all(map(_is_answer, looked)):
            raise ExaminationUnavailable("the examiner of marks gave no answer; nothing was enrolled")
        return looked


def _is_answer(one: object) -> bool:
    return isinstance(one, Mapping) and isinstance(one.get("marks"), list)
