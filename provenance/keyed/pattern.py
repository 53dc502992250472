"""What a key and a tag do to the spectrogram: a sign for every cell, repeated every 2.73 seconds.

Cells are 3 bins × 4 frames of an STFT (1,024 samples, hop 256, at 24 kHz), 60 rows from 0.42 to 4.6 kHz × 64 columns. A
keyed shuffle gives 45 % of them to synchronisation, with signs of their own, and the rest to two symbols of 12
bits; a symbol's signs are the word of a keyed code of 4,096 random words. All of it comes from SHAKE-256 (FIPS 202),
so that a pattern is the same on every machine and under every version of every library.
"""

from __future__ import annotations

import hashlib
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

SAMPLE_RATE: Final = 24_000  # Hz: the only rate at which a mark is put in
WINDOW: Final = 1024
HOP: Final = 256
FIRST_BIN: Final = 18
CELL_BINS: Final = 3
CELL_FRAMES: Final = 4
ROWS: Final = 60
COLUMNS: Final = 64
BINS: Final = ROWS * CELL_BINS
PERIOD: Final = COLUMNS * CELL_FRAMES  # frames: 2.73 s
TAG_BITS: Final = 24
SYMBOLS: Final = 2
WORDS: Final = 4096  # of one symbol: 12 bits
_SYNC_SHARE: Final = 0.45

Floats: TypeAlias = npt.NDArray[np.float32]
Indices: TypeAlias = npt.NDArray[np.intp]

# A tilt is heard (PESQ-wb, ITU-T P.862.2) most in the lowest rows, and what is added before what is missing. So a row's
# gain grows with the root of its height, and the whole band lies half a decibel low. At a cell's middle, in dB:
ROW_GAINS_DB: Final[Floats] = (3.4 * (0.5 + 0.9 * np.sqrt(np.arange(ROWS) / (ROWS - 1)))).astype(np.float32)
LEVEL_DB: Final = -0.5


class Pattern:
    """The signs of one key. Immutable."""

    def __init__(self, key: bytes) -> None:
        """key: 32 secret bytes."""
        if len(key) != 32:
            raise ValueError("a watermark key has 32 bytes")
        self._key = key
        order = np.argsort(np.frombuffer(self._stream("layout", 8 * ROWS * COLUMNS), ">u8"), kind="stable")
        synchronising = int(ROWS * COLUMNS * _SYNC_SHARE)
        per_symbol = (ROWS * COLUMNS - synchronising) // SYMBOLS
        self.sync_cells: Indices = order[:synchronising]
        self.symbol_cells: tuple[Indices, ...] = tuple(
            order[synchronising + at * per_symbol :][:per_symbol] for at in range(SYMBOLS)
        )
        self.sync_signs: Floats = self._signs("sync", synchronising)

    def cells(self, tag: int) -> Floats:
        """float32[ROWS, COLUMNS] of −1, +1 (and 0 for the cell or two that are nobody's)."""
        if not 0 <= tag < 1 << TAG_BITS:
            raise ValueError(f"a tag has {TAG_BITS} bits")
        signs = np.zeros(ROWS * COLUMNS, np.float32)
        signs[self.sync_cells] = self.sync_signs
        for at, word in enumerate(divmod(tag, WORDS)):
            signs[self.symbol_cells[at]] = self.word(at, word)
        return signs.reshape(ROWS, COLUMNS)

    def gains(self, tag: int) -> Floats:
        """float32[PERIOD, BINS]: by what each bin's magnitude is multiplied, frame by frame."""
        decibels = self.turns(tag) * ROW_GAINS_DB.repeat(CELL_BINS) + LEVEL_DB
        gains: Floats = np.ascontiguousarray(10 ** (decibels / 20)).astype(np.float32)
        return gains

    def turns(self, tag: int) -> Floats:
        """float32[PERIOD, BINS], −1…1: which way each bin is turned, frame by frame."""
        signs = self.cells(tag).repeat(CELL_BINS, axis=0).repeat(CELL_FRAMES, axis=1)
        # A cell's upper and lower edges are smoothed: a step between neighbouring bins would be heard first.
        edged = np.pad(signs, ((1, 1), (0, 0)))
        smooth: Floats = (edged[:-2] + edged[1:-1] + edged[2:]).T / np.float32(3)
        return smooth

    def word(self, symbol: int, value: int) -> Floats:
        """The signs of one word of a symbol's code."""
        return self._signs(f"symbol {symbol} word {value}", self.symbol_cells[symbol].size)

    def code(self, symbol: int) -> Floats:
        """float32[WORDS, cells]: every word of a symbol's code. 17 MB: keep it only while reading."""
        return np.stack([self.word(symbol, value) for value in range(WORDS)])

    def _signs(self, label: str, count: int) -> Floats:
        bits = np.unpackbits(np.frombuffer(self._stream(label, -(-count // 8)), np.uint8), count=count)
        return 2 * bits.astype(np.float32) - 1

    def _stream(self, label: str, size: int) -> bytes:
        return hashlib.shake_256(b"vouch.keyed-mark.v1\0" + self._key + label.encode()).digest(size)

    def __repr__(self) -> str:
        return "Pattern(…)"
