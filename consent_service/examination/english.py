"""An offline recogniser of the English challenge: pocketsphinx's acoustic model and a language model of one
sentence.

With its general language model pocketsphinx errs in every second word. The challenge is known but for names and
drawn words, so it gets a bigram model of that sentence alone, in which every drawn word is as likely as any other
(it can't guess today's), and a few hundred common words that take in names, and any speech that is something else.
Runs in a worker; no name and no recording is written anywhere.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from consent_service.examination.challenge.purposes import SAID
from consent_service.examination.challenge.sentences import STATEMENT
from consent_service.examination.challenge.words import CHALLENGE_WORDS, WORDS

SAMPLE_RATE: Final = 16_000
_KNOWN_WAY: Final = 0.9  # of the probability after each word; the rest is for what the sentence does not hold
_LEAVING: Final = -3.0  # log10, for leaving the sentence's way in the middle of it
_LEAVING_FOR_A_NAME: Final = -0.5
_COMMON: Final = (
    "the be to of and a in that have it for not on with he as you do at this but his by from they we say her she or "
    "an will my one all would there their what so up out if about who get which go me when make can like time no just "
    "him know take people into year your good some could them see other than then now look only come its over think "
    "also back after use two how our work first well way even new want because any these give day most us man old "
    "thing tell very still try ask need too feel three state never become between high really something last school "
    "own here same another while might great where much through long down should call world before right mean men tom "
    "jane john mary anna peter paul lee smith brown green king young hall baker west stone north wind light house home "
    "land son ton ham lay low roy ray may joe sue lou ben bill tim jim kay gay hugh shaw thor ivy ash edge age oil boy "
    "toy cow owl earth bird shirt thirst zoo azure vision usual pleasure church judge child chin gin thin thick those "
    "youth yes yard watch wall white queen quick"
)


def load_decoder() -> Any:
    """A pocketsphinx decoder for the challenge."""
    from pocketsphinx import Decoder

    known = Decoder(samprate=SAMPLE_RATE, lm=None, loglevel="FATAL")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "challenge.arpa"
        path.write_text(language_model(lambda word: known.lookup_word(word) is not None), encoding="ascii")
        return Decoder(samprate=SAMPLE_RATE, lm=str(path), loglevel="FATAL")


def decode(decoder: Any, pcm: bytes) -> str:
    """pcm: int16 little-endian, mono, at SAMPLE_RATE."""
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    best = decoder.hyp()
    return str(best.hypstr) if best is not None else ""


def language_model(pronounceable: Any) -> str:
    """A bigram model in ARPA's format. pronounceable: whether the dictionary has a word."""
    follows: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for purpose in SAID["en"].values():
        _walk(follows, _places(purpose))
    words = sorted(
        word
        for word in {*follows, *(w for row in follows.values() for w in row), *_COMMON.split()}
        - {"<s>", "</s>"}
        if pronounceable(word)
    )
    known = {*words, "<s>", "</s>"}
    ways = {
        before: {word: weight for word, weight in row.items() if word in known}
        for before, row in follows.items()
        if before in known
    }
    pairs = [
        f"{math.log10(_KNOWN_WAY * weight / sum(row.values())):.4f} {before} {word}"
        for before, row in sorted(ways.items())
        for word, weight in sorted(row.items())
    ]
    flat = -math.log10(len(words) + 1)
    before_names = {"<s>", "am", "that"}
    leaving = {
        word: (_LEAVING_FOR_A_NAME if word in before_names else _LEAVING) if ways.get(word) else 0.0
        for word in ("<s>", *words)
    }
    singles = [f"{flat:.4f} {word} {leaving[word]:.4f}" for word in words]
    return "\n".join(
        [
            *("\\data\\", f"ngram 1={len(words) + 2}", f"ngram 2={len(pairs)}", "", "\\1-grams:"),
            *(f"-99 <s> {leaving['<s>']:.4f}", f"{flat:.4f} </s>", *singles),
            *("", "\\2-grams:", *pairs, "", "\\end\\", ""),
        ]
    )


def _places(purpose: str) -> list[tuple[str, ...]]:
    """What may stand in each place of the sentence; () for a name, which may be anything."""
    drawn = " ".join(["\2"] * CHALLENGE_WORDS)
    text = STATEMENT["en"].format(subject="\0", grantee="\0", purpose=purpose, words=drawn)
    said = re.findall("[a-z]+|[\0\2]", text.lower())
    meaning = {"\0": (), "\2": WORDS["en"]}
    return [("<s>",), *(meaning.get(token, (token,)) for token in said), ("</s>",)]


def _walk(follows: dict[str, dict[str, float]], places: list[tuple[str, ...]]) -> None:
    for here, there in pairwise(places):
        for before in here:
            for word in there:
                follows[before][word] += 1 / len(there)
