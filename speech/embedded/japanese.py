"""Kanji → kana, because eSpeak NG's Japanese voice spells kanji out as "Chinese letter"."""

from __future__ import annotations

import unicodedata
from typing import Any, Final

from speech.errors import EngineUnavailable

# Two particles are written with one kana and spoken as another.
_SPOKEN_PARTICLES: Final = {"ハ": "ワ", "ヘ": "エ"}


class KanaReader:
    """Readings from SudachiPy's small dictionary. Use from one thread. Raises EngineUnavailable if missing."""

    def __init__(self) -> None:
        try:
            from sudachipy import Dictionary, SplitMode
        except ImportError as error:
            raise EngineUnavailable(
                "Japanese needs SudachiPy and its dictionary; install them with: "
                "pip install 'vouch[embedded]'"
            ) from error
        self._mode = SplitMode.C
        dictionary = Dictionary(dict="small")
        # SudachiPy 0.7 renamed `create` to `tokenizer`.
        make = getattr(dictionary, "tokenizer", None) or dictionary.create
        self._tokenizer: Any = make()

    def read(self, text: str) -> str:
        """The text with every word replaced by its reading; digits and punctuation stay."""
        plain = unicodedata.normalize("NFKC", text)  # full-width digits are silent in eSpeak NG
        return "".join(self._reading(word) for word in self._tokenizer.tokenize(plain, self._mode))

    @staticmethod
    def _reading(word: Any) -> str:
        surface: str = word.surface()
        kind = word.part_of_speech()
        if kind[1] == "数詞" and surface.isascii():
            return surface
        if kind[0] in ("補助記号", "空白", "記号"):
            return surface
        reading: str = word.reading_form() or surface
        return _SPOKEN_PARTICLES.get(reading, reading) if kind[0] == "助詞" else reading
