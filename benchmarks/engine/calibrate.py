"""How long a checkpoint really takes for a text, by language: what its frame budget should reckon with.

The built-in budget comes from published reading rates of people (`speech.budget`). This speaks a few everyday
sentences of each language and turns what was heard into `seconds_per_syllable`, ready for the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any, Final

from speech.budget import FRAMES_PER_SECOND, PUBLISHED, expected_seconds, syllables
from speech.config import EngineConfig
from speech.engine import SAMPLE_RATE, Mode
from speech.load import load_engine
from vouch.bench.engine_requests import Requests
from vouch.bench.figures import Figure

SENTENCES: Final[dict[str, tuple[str, ...]]] = {
    "zh": ("今天下午我们一起去公园散步吧。", "这本书讲的是一个关于大海的故事。", "请把门关上，外面风很大。"),
    "en": (
        "The train to the coast leaves a little after nine.",
        "She put the letter back into the drawer and said nothing.",
        "If it rains tomorrow, we will stay at home and read.",
    ),
    "ja": (
        "明日の朝、駅の前で会いましょう。",
        "この川の水はとても冷たいです。",
        "彼女は静かに本を読んでいました。",
    ),
    "ko": (
        "내일 아침 역 앞에서 만납시다.",
        "이 강의 물은 아주 차갑습니다.",
        "그녀는 조용히 책을 읽고 있었습니다.",
    ),
    "de": (
        "Der Zug an die Küste fährt kurz nach neun ab.",
        "Sie legte den Brief zurück und sagte kein Wort.",
        "Wenn es morgen regnet, bleiben wir zu Hause und lesen.",
    ),
    "fr": (
        "Le train pour la côte part un peu après neuf heures.",
        "Elle remit la lettre dans le tiroir et ne dit rien.",
        "S'il pleut demain, nous resterons à la maison.",
    ),
    "ru": (
        "Поезд к морю отправляется вскоре после девяти.",
        "Она положила письмо обратно в ящик и промолчала.",
        "Если завтра пойдёт дождь, мы останемся дома.",
    ),
    "pt": (
        "O comboio para a costa parte pouco depois das nove.",
        "Ela guardou a carta na gaveta e não disse nada.",
        "Se amanhã chover, ficamos em casa a ler.",
    ),
    "es": (
        "El tren a la costa sale poco después de las nueve.",
        "Guardó la carta en el cajón y no dijo nada.",
        "Si mañana llueve, nos quedaremos en casa leyendo.",
    ),
    "it": (
        "Il treno per la costa parte poco dopo le nove.",
        "Rimise la lettera nel cassetto e non disse nulla.",
        "Se domani piove, resteremo a casa a leggere.",
    ),
}
_PREFERRED: Final[tuple[Mode, ...]] = ("custom", "design", "clone")


def calibrate(config: EngineConfig, takes: int = 3) -> Iterator[Figure | dict[str, Any]]:
    """A figure for each language, then the `budget` to configure. takes: of each sentence, with other seeds."""
    engine = load_engine(config)
    rates: dict[str, float] = {}
    try:
        engine.warm_up()
        mode = next(mode for mode in _PREFERRED if mode in engine.info.modes)
        requests = Requests(next(iter(engine.info.speakers), ""))
        for language in engine.info.languages:
            frames_per_character, rate = [], []
            asked = [requests.make(mode, text, language) for text in SENTENCES[language] * takes]
            for request, stream in [(request, engine.start(request)) for request in asked]:
                seconds = sum(chunk.size for chunk in stream) / SAMPLE_RATE
                said = request.utterance.text
                frames_per_character.append(seconds * FRAMES_PER_SECOND / len(said))
                rate.append(_seconds_per_syllable(said, language, seconds))
            rates[language] = round(median(rate), 4)
            case = f"{config.name}-{mode}-calibrate-{language}"
            yield Figure("engine", case, median(frames_per_character), "frames/character")
    finally:
        engine.close()
    yield {"budget": {"seconds_per_syllable": rates}}


def _seconds_per_syllable(said: str, language: str, seconds: float) -> float:
    """What is left for each syllable when the pauses at punctuation are taken off; never below half the share."""
    spoken = syllables(said, language)
    pauses = expected_seconds(said, language) - spoken * PUBLISHED.syllable_s(language)
    return max(seconds - pauses, seconds / 2) / spoken
