"""All examiners of one installation, put together from its configuration. Nothing starts before it is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from consent_service.examination.config import ExaminationConfig
from consent_service.examination.findings import Examined
from consent_service.examination.marks import OWN, KnownMarks, MarkCheck, MarkProcess, NoMarkCheck, OwnClip
from consent_service.examination.process import ExaminerProcess
from consent_service.examination.recogniser import HttpRecogniser
from consent_service.examination.recordings import Recording
from consent_service.examination.speaker import NoSpeakerCheck, Resemblyzer, SpeakerCheck
from consent_service.examination.transcript import Asked, EnglishCheck, HumanCheck, TranscriptCheck
from consent_service.examination.worker import command


class Examiner:
    """Thread-safe. `known`: gives what our own clips are known by, as it is at that moment."""

    def __init__(self, config: ExaminationConfig, known: Callable[[], KnownMarks]) -> None:
        self._config: Final = config
        self._known: Final = known
        self._processes: list[ExaminerProcess] = []
        self._speaker = self._speaker_check()
        self._transcript = self._transcript_check()
        self._marks = self._mark_check()

    @property
    def reviews_always(self) -> bool:
        return self._config.review == "always"

    def examine(
        self,
        asked: Asked,
        *,
        reference: Recording,
        statement: Recording,
        files: tuple[bytes, ...],
    ) -> Examined:
        """files: what came in, as it came. Raises RecordingRejected (speaker_mismatch, recording_synthetic) or
        ExaminationUnavailable: of several, the mark's word counts first."""
        with ThreadPoolExecutor(3, thread_name_prefix="examine") as threads:
            marks = threads.submit(self._marks.unmarked, self._known(), files)
            speaker = threads.submit(self._speaker.compare, reference, statement)
            transcript = threads.submit(self._transcript.check, asked, statement)
            sound = {"reference": _sound(reference), "statement": _sound(statement)}
            found = marks.result()
            return Examined(sound, speaker.result(), transcript.result(), found)

    def own_clip(self, file: bytes) -> OwnClip | None:
        """The clip of ours that a file is, by its signed manifest. Raises ExaminationUnavailable."""
        return self._marks.own_clip(self._known(), file)

    def warm_up(self) -> None:
        """Start what is not running, while somebody reads their sentence. Returns at once."""
        for process in self._processes:
            threading.Thread(target=process.warm_up, name="warm up", daemon=True).start()

    def close(self) -> None:
        """Ends what was started. Idempotent; another question would start it again."""
        for process in self._processes:
            process.close()

    def _speaker_check(self) -> SpeakerCheck:
        if self._config.speaker == "none":
            return NoSpeakerCheck()
        return Resemblyzer(self._process(command("speaker")))

    def _transcript_check(self) -> TranscriptCheck:
        if self._config.transcript == "pocketsphinx":
            return EnglishCheck(self._process(command("english")))
        if self._config.transcript == "http" and self._config.recogniser is not None:
            return HttpRecogniser(self._config.recogniser)
        return HumanCheck()

    def _mark_check(self) -> MarkCheck:
        if self._config.marks == "none":
            return NoMarkCheck()
        return MarkProcess(self._process(OWN if self._config.marks == "own" else self._config.marks))

    def _process(self, words: Any) -> ExaminerProcess:
        process = ExaminerProcess(words, self._config)
        self._processes.append(process)
        return process


def _sound(recording: Recording) -> dict[str, float]:
    return {
        "seconds": round(recording.seconds, 2),
        "speech_seconds": round(recording.speech_seconds, 2),
        "level_dbfs": round(recording.level_dbfs, 1),
    }
