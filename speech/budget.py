"""How many codec frames a text may take, so that speech that finds no end is noticed.

    frames = 12.5/s × (fixed_s + headroom × (syllables × seconds per syllable + pauses at punctuation))

Seconds per syllable are published reading rates without pauses (Pellegrino, Coupé & Marsico, "A cross-language
perspective on speech information rate", Language 87(3), 2011, table 1; the 17 languages of Coupé et al.,
Science Advances 5(9) eaaw2594, 2019, lie between the same bounds). That table has no Korean, Portuguese or
Russian: they get the rate of its slowest language, as a budget errs on the long side. Syllables are counted from
the writing: letters per syllable were counted over articles 1, 3, 4 and 6 of the Universal Declaration of Human
Rights in each language; a Hangul block and a Chinese character are one syllable, a kana is one mora, a
Japanese kanji two. What is spelled out or was left as digits and symbols counts as the longest usual reading.

The rates describe people, not a checkpoint: `python -m benchmarks.engine calibrate` measures one, and its figures go
into `EngineConfig.budget`.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from speech.text.markup import PAUSE

FRAMES_PER_SECOND: Final = 12.5

_SYLLABLES_PER_SECOND: Final = {
    "zh": 5.18, "en": 6.19, "ja": 7.84, "de": 5.97, "fr": 7.18, "es": 7.82, "it": 6.99,
    "ko": 5.18, "ru": 5.18, "pt": 5.18,
}  # fmt: skip
_LETTERS_PER_SYLLABLE: Final = {
    "en": 2.8, "de": 3.1, "fr": 2.8, "es": 2.3, "it": 2.2, "pt": 2.3, "ru": 2.4,
    "zh": 2.8, "ja": 2.8, "ko": 2.8,  # foreign words in these are mostly English
}  # fmt: skip
_SPELLED_LETTER: Final = 1.5  # a capital may be spelled out: "W" is three syllables, most are one
_DIGIT: Final = 3.0  # Russian 789 takes nine syllables, German 27 four
_SYMBOL: Final = 4.0
_KANJI_MORAS: Final = 2.0
_SENTENCE_PAUSE_S: Final = 0.5
_CLAUSE_PAUSE_S: Final = 0.25
_SENTENCE_ENDS: Final = frozenset(".!?…。！？．")


@dataclass(frozen=True, slots=True)
class Budget:
    """What `frame_budget` reckons with.

    headroom: how many times longer than a usual reader one may take; 3 lets "very slowly" pass.
    seconds_per_syllable: by language code, over the published ones.
    """

    headroom: float = 3.0
    fixed_s: float = 3.0
    seconds_per_syllable: Mapping[str, float] = field(default_factory=dict)

    def syllable_s(self, language: str) -> float:
        return self.seconds_per_syllable.get(language) or 1 / _SYLLABLES_PER_SECOND[language]


PUBLISHED: Final = Budget()


def frame_budget(text: str, language: str, budget: Budget = PUBLISHED) -> int:
    """Codec frames (80 ms each) that `text` may take before its generation counts as run away; at least 2.

    text: canonical; pause markup costs nothing, as the model never sees it. language: ISO 639-1 code.
    """
    seconds = budget.fixed_s + budget.headroom * expected_seconds(text, language, budget)
    return max(2, math.ceil(FRAMES_PER_SECOND * seconds))


def expected_seconds(text: str, language: str, budget: Budget = PUBLISHED) -> float:
    """How long a usual reader takes, pauses at punctuation included; an estimate within about a third."""
    spoken = PAUSE.sub(" ", text)
    return syllables(spoken, language) * budget.syllable_s(language) + _pauses_s(spoken)


def syllables(text: str, language: str) -> float:
    """Syllables (moras in Japanese) of a text, estimated from its writing."""
    letter = 1 / _LETTERS_PER_SYLLABLE[language]
    return sum(_syllables(character, language, letter) for character in text)


def _syllables(character: str, language: str, letter: float) -> float:
    category = unicodedata.category(character)
    match category[0]:
        case "L" if category in ("Lo", "Lm"):  # Han, kana, Hangul
            is_han = "\u3400" <= character <= "\u9fff" or character >= "\U00020000"
            return _KANJI_MORAS if is_han and language == "ja" else 1.0
        case "L":
            return _SPELLED_LETTER if category == "Lu" else letter
        case "N":
            return _DIGIT
        case "S":
            return _SYMBOL
        case _:
            return 0.0


def _pauses_s(text: str) -> float:
    ends = sum(character in _SENTENCE_ENDS for character in text)
    marks = sum(unicodedata.category(character)[0] == "P" for character in text)
    return ends * _SENTENCE_PAUSE_S + (marks - ends) * _CLAUSE_PAUSE_S
