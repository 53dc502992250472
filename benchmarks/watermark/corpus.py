"""Speech to measure on: our own engine in ten languages, and people in five.

Natural speech is Debian's `asterisk-core-sounds-{en,es,fr,it,ru}-g722`: prompts by professional speakers, CC-BY-SA
3.0. It is read where the package puts it and never shipped. The clips that the scorer learned from and those it is
measured on are different recordings; it has heard nothing of the Russian speaker, and no Spanish.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import av
import numpy as np
import soxr

from consent_service.policy.languages import LANGUAGES
from provenance.audio import Samples
from speech.config import EngineConfig
from speech.engine import DesignRequest
from speech.load import load_engine
from speech.text import prepare

RATE: Final = 24_000
SOUNDS: Final = Path("/usr/share/asterisk/sounds")
SPEAKERS: Final = {
    "en": "en_US_f_Allison",
    "es": "es_MX_f_Allison",
    "fr": "fr_CA_f_June",
    "it": "it_IT_m_Carlo",
    "ru": "ru_RU_f_IvrvoiceRU",
}
LEARNED_FROM: Final = ("en", "fr", "it")
LEARNED_CLIPS: Final = 30  # the first of each; `_GAP` more were looked at while the marks were designed
_GAP: Final = 30
_CLIP_SECONDS: Final = 7.0
_LEAST_SAMPLES: Final = 8_000

# Said by the embedded engine; the meaning is the same in each.
SENTENCES: Final = {
    "zh": "火车今天将从总站晚点二十分钟出发，孩子们在花园里玩，奶奶在讲一个很长的故事。",
    "en": "The train leaves twenty minutes late today, the children play in the garden, and their "
    "grandmother tells a long story.",
    "ja": "きょうのれっしゃは、にじゅっぷんおくれてでます。こどもたちはにわであそび、"
    "おばあさんはながいはなしをします。",
    "ko": "오늘 기차는 이십 분 늦게 출발하고, 아이들은 정원에서 놀고, 할머니는 긴 이야기를 들려줍니다.",
    "de": "Der Zug fährt heute zwanzig Minuten später ab, die Kinder spielen im Garten, und die Großmutter "
    "erzählt eine lange Geschichte.",
    "fr": "Le train part aujourd'hui avec vingt minutes de retard, les enfants jouent dans le jardin, et la "
    "grand-mère raconte une longue histoire.",
    "ru": "Поезд сегодня отправится с опозданием на двадцать минут, дети играют в саду, а бабушка "
    "рассказывает длинную историю.",
    "pt": "O comboio parte hoje com vinte minutos de atraso, as crianças brincam no jardim e a avó conta uma "
    "longa história.",
    "es": "El tren sale hoy con veinte minutos de retraso, los niños juegan en el jardín y la abuela cuenta "
    "una larga historia.",
    "it": "Il treno parte oggi con venti minuti di ritardo, i bambini giocano in giardino e la nonna racconta "
    "una lunga storia.",
}
LEARNED_VOICES: Final = ("a calm low male voice", "a bright high female voice", "a slow deep voice")
MEASURED_VOICES: Final = ("a quick young voice", "an old tired man", "a warm woman speaking slowly")


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip of the corpus. samples: float32[n], mono, 24 kHz."""

    kind: str  # "natural" | "embedded"
    language: str
    samples: Samples = field(repr=False)


def learned() -> Iterator[Clip]:
    """What the scorer learns from."""
    yield from synthetic(LEARNED_VOICES)
    for language in LEARNED_FROM:
        yield from _natural(language)[:LEARNED_CLIPS]


def measured(per_language: int) -> Iterator[Clip]:
    """What nothing was tuned on: `per_language` natural clips in five languages, and the embedded engine in ten."""
    for language in SPEAKERS:
        yield from _natural(language)[LEARNED_CLIPS + _GAP :][:per_language]
    yield from synthetic(MEASURED_VOICES)


def synthetic(voices: tuple[str, ...]) -> Iterator[Clip]:
    engine = load_engine(EngineConfig(name="embedded"))
    try:
        for language in LANGUAGES:
            for number, voice in enumerate(voices):
                said = prepare(SENTENCES[language], language, voice)
                stream = engine.start(DesignRequest(f"{language}-{number}", said, seed=number))
                yield Clip("embedded", language, np.concatenate(list(stream)))
    finally:
        engine.close()


def _natural(language: str) -> list[Clip]:
    """Prompts of one speaker, put together to clips of 7 seconds and more."""
    folder = SOUNDS / SPEAKERS[language]
    clips: list[Clip] = []
    parts: list[Samples] = []
    for path in sorted(folder.glob("*.g722")):
        prompt = _g722(path.read_bytes())
        if prompt.size < _LEAST_SAMPLES:
            continue
        parts.append(prompt)
        if sum(part.size for part in parts) >= _CLIP_SECONDS * 16_000:
            clips.append(Clip("natural", language, soxr.resample(np.concatenate(parts), 16_000, RATE)))
            parts = []
    if not clips:
        raise SystemExit(f"no speech in {folder}: install asterisk-core-sounds-{language}-g722")
    return clips


def _g722(raw: bytes) -> Samples:
    decoder = av.CodecContext.create("g722", "r")
    decoder.sample_rate, decoder.layout = 16_000, "mono"
    frames = [frame.to_ndarray().reshape(-1) for frame in decoder.decode(av.Packet(raw))] if raw else []
    return np.concatenate(frames).astype(np.float32) / 32_768 if frames else np.zeros(0, np.float32)
