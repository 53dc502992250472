"""`SpeechEngine` over eSpeak NG. Not a clone: `EngineInfo.is_clone` is False, and every manifest says so."""

from __future__ import annotations

import hashlib
import time
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import soxr

from speech.config import EngineConfig
from speech.dispatch import Dispatcher
from speech.embedded import voices
from speech.embedded.japanese import KanaReader
from speech.embedded.process import EspeakProcess, Library, Speech
from speech.engine import (
    SAMPLE_RATE,
    CloneRequest,
    CustomVoiceRequest,
    DesignRequest,
    EngineInfo,
    SpeechRequest,
    SpeechStream,
)
from speech.errors import EngineUnavailable
from speech.joining import Joiner
from speech.languages import CODES, LANGUAGES
from speech.requests import check_request
from speech.segments import plan
from speech.stream import QueuedStream

_DATA_FILES: Final = ("phondata", "phonindex", "phontab", "intonations")


class EmbeddedEngine:
    """Speaks one request at a time in a worker process of its own, far faster than real time."""

    def __init__(self, config: EngineConfig) -> None:
        """Raises EngineUnavailable when the extra `embedded` is not installed."""
        library = find_library()
        self._config = config
        self._info = EngineInfo(
            name="embedded",
            model=f"espeak-ng (espeakng-loader {metadata.version('espeakng-loader')})",
            model_digest=_digest(library),
            is_clone=False,
            modes=frozenset({"clone", "custom", "design"}),
            languages=CODES,
            speakers=tuple(voices.SPEAKERS),
        )
        self._speaker_names = {name.casefold(): name for name in voices.SPEAKERS}
        self._process = EspeakProcess(library)
        self._kana: KanaReader | None = None
        self._dispatcher = Dispatcher("speech-embedded", self._speak)

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def healthy(self) -> bool:
        return self._dispatcher.alive  # a speech process that dies is replaced by the next request

    def warm_up(self) -> None:
        def speak_once() -> None:
            self._kana = self._kana or KanaReader()
            voice = voices.espeak_voice(voices.SPEAKERS["Aiden"], 0)
            self._process.say(Speech("Ready.", LANGUAGES["en"].espeak_voice, voice), lambda _block: None)

        self._dispatcher.call(speak_once)

    def start(self, request: SpeechRequest) -> SpeechStream:
        check_request(request, self._info, max_characters=self._config.max_characters)
        return self._dispatcher.submit(request)

    def cancel_voice(self, voice_id: str, code: str) -> int:
        return self._dispatcher.cancel_voice(voice_id, code)

    def close(self) -> None:
        self._dispatcher.close()
        self._process.stop()

    def _speak(self, request: SpeechRequest, stream: QueuedStream) -> None:
        self._process.start()
        said = request.utterance
        voice = voices.espeak_voice(self._timbre(request), request.seed)
        joiner = Joiner(SAMPLE_RATE)
        for segment in plan(said):
            if segment.text:
                speech = Speech(
                    self._readable(segment.text, said.language), LANGUAGES[said.language].espeak_voice, voice
                )
                self._say(speech, joiner, stream)
            stream.emit(joiner.end_segment(segment.pause_s))
        stream.emit(joiner.finish())

    def _say(self, speech: Speech, joiner: Joiner, stream: QueuedStream) -> None:
        resampler = soxr.ResampleStream(self._process.sample_rate, SAMPLE_RATE, 1, dtype="float32")

        def take(block: bytes) -> None:
            samples = np.frombuffer(block, dtype="<i2").astype(np.float32) / 32768.0
            stream.emit(joiner.feed(resampler.resample_chunk(samples)))
            if self._config.pace is not None:
                time.sleep(samples.size / self._process.sample_rate / self._config.pace)

        self._process.say(speech, take)
        stream.emit(joiner.feed(resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)))

    def _readable(self, text: str, language: str) -> str:
        if language != "ja":
            return text
        self._kana = self._kana or KanaReader()
        return self._kana.read(text)

    def _timbre(self, request: SpeechRequest) -> voices.Timbre:
        match request:
            case CloneRequest():
                return voices.timbre_of_reference(request.reference)
            case CustomVoiceRequest():
                speaker = voices.SPEAKERS[self._speaker_names[request.speaker.casefold()]]
                return voices.in_the_manner_of(speaker, request.utterance.instruct)
            case DesignRequest():
                return voices.timbre_of_description(request.utterance.instruct)


def find_library() -> Library:
    """eSpeak NG from its wheel. Raises EngineUnavailable with the command that installs it."""
    missing = [
        name for name in ("espeakng_loader", "sudachipy", "sudachidict_small") if find_spec(name) is None
    ]
    if missing:
        raise EngineUnavailable(
            f"the embedded engine needs {', '.join(missing)}; install it with: pip install 'vouch[embedded]'"
        )
    import espeakng_loader

    return Library(Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path()))


def _digest(library: Library) -> str:
    """Over all that decides what is heard: library, data, and the versions of the dictionary and our voices."""
    digest = hashlib.sha256()
    for path in (library.shared_object, *(library.data / name for name in _DATA_FILES)):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for package in ("espeakng-loader", "sudachidict-small"):
        digest.update(f"{package}=={metadata.version(package)}\n".encode())
    digest.update(f"voices {voices.VOICES_VERSION}".encode())
    return digest.hexdigest()
