"""The text front end: from what a caller wrote to what is said, authorised and counted.

    written → canonical → pauses → lexicon → numbers, dates, money in words → canonical → Utterance

What comes out is what a grant's digest, the cache key and the engine see, so that what is said is what was
authorised (DESIGN I1). Nothing here knows an engine; nothing is imported that costs time before it is needed.
"""

from speech.text.canonical import canonical
from speech.text.utterance import MAX_CHARACTERS, MAX_INSTRUCT_CHARACTERS, TEXT_VERSION, check, prepare

__all__ = ["MAX_CHARACTERS", "MAX_INSTRUCT_CHARACTERS", "TEXT_VERSION", "canonical", "check", "prepare"]
