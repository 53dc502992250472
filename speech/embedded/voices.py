"""How the embedded engine sounds: eSpeak NG parameters from a reference, a speaker name or a description.

This is not cloning and never becomes it: of a reference only its median pitch and a digest are used, so that
two voices can be told apart in a demonstration. Everything is a pure function of the request.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from speech.embedded.pitch import median_pitch
from speech.engine import Reference

VOICES_VERSION: Final = "2"  # part of the model digest: raise it when anything here changes what is heard

_LOWEST_HZ: Final = 75.0
_HIGHEST_HZ: Final = 320.0
# Median F0 of each eSpeak NG variant at pitch 50, and how F0 grows with the pitch parameter; measured on
# 1.52.0.
_LOW_VARIANTS: Final = {"m1": 95.0, "m3": 106.0, "m4": 95.0, "m7": 107.0}
_HIGH_VARIANTS: Final = {"f1": 181.0, "f2": 197.0, "f3": 213.0, "f5": 206.0}
_PITCH: Final = (0, 20, 35, 50, 65, 80, 99)
_RATIO: Final = (0.68, 0.77, 0.87, 1.0, 1.16, 1.35, 1.65)
_LOW_VOICE_BELOW_HZ: Final = 145.0


@dataclass(frozen=True, slots=True)
class Timbre:
    """hertz: median pitch aimed at. pace: 1 is eSpeak NG's 175 words a minute. liveliness: pitch range, 0…99.
    character: picks among the variants of that pitch."""

    hertz: float
    pace: float = 1.0
    liveliness: int = 50
    character: int = 0


@dataclass(frozen=True, slots=True)
class EspeakVoice:
    """What the worker is told: variant file, and eSpeak NG's RATE, PITCH and RANGE parameters."""

    variant: str
    rate: int
    pitch: int
    range: int


# Named after the preset speakers of Qwen3-TTS CustomVoice, so that a script runs unchanged on either engine.
SPEAKERS: Final = {
    "Vivian": Timbre(230.0, 1.06, 60, 0),
    "Serena": Timbre(200.0, 0.94, 45, 1),
    "Uncle_Fu": Timbre(85.0, 0.90, 35, 1),
    "Dylan": Timbre(125.0, 1.04, 55, 3),
    "Eric": Timbre(115.0, 1.10, 65, 0),
    "Ryan": Timbre(105.0, 1.08, 60, 1),
    "Aiden": Timbre(135.0, 1.00, 50, 2),
    "Ono_Anna": Timbre(260.0, 1.08, 70, 2),
    "Sohee": Timbre(215.0, 0.98, 60, 3),
}


def timbre_of_reference(reference: Reference) -> Timbre:
    """As high as the recording, with small variations that depend on its every sample."""
    variation = hashlib.sha256(np.ascontiguousarray(reference.samples).tobytes()).digest()
    measured = median_pitch(reference.samples, reference.sample_rate)
    hertz = measured if measured is not None else 90.0 + 160.0 * variation[0] / 255
    return Timbre(
        hertz=hertz * (0.97 + 0.06 * variation[1] / 255),
        pace=0.93 + 0.14 * variation[2] / 255,
        liveliness=40 + variation[3] % 31,
        character=variation[4],
    )


def timbre_of_description(instruct: str) -> Timbre:
    """A voice for these words: other words are another voice, and those for pitch and pace are heeded."""
    variation = hashlib.sha256(instruct.encode("utf-8")).digest()
    plain = Timbre(
        hertz=100.0 + 120.0 * variation[0] / 255,
        pace=0.95 + 0.1 * variation[1] / 255,
        liveliness=40 + variation[2] % 31,
        character=variation[3],
    )
    for words, hertz in _SEXES:
        if words.search(instruct):
            plain = replace(plain, hertz=hertz + 20.0 * (variation[0] / 255 - 0.5))
    return in_the_manner_of(plain, instruct)


def in_the_manner_of(timbre: Timbre, instruct: str) -> Timbre:
    """The timbre, changed by what the instruction says of pitch, pace and liveliness."""
    for words, pitch, pace, liveliness in _MANNERS:
        if words.search(instruct):
            timbre = replace(
                timbre,
                hertz=timbre.hertz * pitch,
                pace=timbre.pace * pace,
                liveliness=min(99, max(5, timbre.liveliness + liveliness)),
            )
    return timbre


def espeak_voice(timbre: Timbre, seed: int) -> EspeakVoice:
    """Parameters for one take. Another seed is another take: a little faster or slower, higher or lower."""
    take = hashlib.sha256(str(seed).encode("ascii")).digest()
    hertz = min(max(timbre.hertz, _LOWEST_HZ), _HIGHEST_HZ)
    variants = _LOW_VARIANTS if hertz < _LOW_VOICE_BELOW_HZ else _HIGH_VARIANTS
    variant, base = list(variants.items())[timbre.character % len(variants)]
    pitch = float(np.interp(hertz / base, _RATIO, _PITCH))
    rate = 175.0 * timbre.pace + (take[0] % 7 - 3)
    return EspeakVoice(
        variant=variant,
        rate=round(min(max(rate, 90.0), 350.0)),
        pitch=round(min(max(pitch + take[1] % 3 - 1, 0.0), 99.0)),
        range=timbre.liveliness,
    )


def _words(latin: str, chinese: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{latin})\b|{chinese}", re.IGNORECASE)


_SEXES: Final = (
    (_words("man|male|boy|gentleman|masculine", "男"), 110.0),
    (_words("woman|female|girl|lady|feminine", "女"), 205.0),
    (_words("child|kid", "孩"), 270.0),
)
# words, factor on pitch, factor on pace, added liveliness
_MANNERS: Final = (
    (_words("low|lower|deep|deeper|bass|old|elderly", "低|老"), 0.8, 1.0, 0),
    (_words("high|higher|bright|young|youthful", "高|年轻"), 1.2, 1.0, 0),
    (_words("slow|slower|slowly|calm|calmly|solemn", "慢|沉稳"), 1.0, 0.8, -10),
    (_words("fast|faster|quick|quickly|hurried|energetic", "快|急"), 1.0, 1.25, 10),
    (_words("flat|monotone|monotonous|whisper|whispering", "平淡"), 1.0, 1.0, -30),
    (_words("lively|excited|cheerful|expressive|happy|angry", "活泼|兴奋|开心|愤怒"), 1.05, 1.05, 25),
)
