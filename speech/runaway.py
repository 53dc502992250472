"""Notices speech that does not end: the best-known failure of autoregressive synthesis.

Watches the first codebook only, one code per 80 ms frame, as it carries what is said. Four reasons:

    budget    more frames than the text may take (`speech.budget`)
    stuck     one code for 4 s, give or take a few frames
    loop      the same 2 to 48 codes (0.16 s to 3.8 s), four times or more and for at least 5 s
    silence   codes of silence for 5 s, where the caller knows which codes those are

A code must come back *exactly* to count, in at least nine frames of ten. People who say one thing many times, and
singers who hold a vowel, do not repeat a sampled code sequence that well, and nobody reads a vowel for 4 s; what
a text itself repeats is in its budget. Knows nothing of engines; costs a few microseconds per frame.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from operator import eq
from typing import Final, Literal, TypeAlias

Reason: TypeAlias = Literal["budget", "stuck", "loop", "silence"]

STUCK_FRAMES: Final = 50
LOOP_FRAMES: Final = 62
LOOP_REPEATS: Final = 4
LONGEST_PERIOD: Final = 48
MATCHING: Final = 0.9
SILENT_FRAMES: Final = 62
LOOKED_EVERY: Final = 8  # frames between looks for loops; they are older than that anyway

_KEPT: Final = LONGEST_PERIOD * LOOP_REPEATS


class RunawayDetector:
    """Of one generation. A retry starts with a new one."""

    def __init__(self, budget: int, *, silence_codes: Set[int] = frozenset()) -> None:
        """budget: frames, see `frame_budget`. silence_codes: first-codebook codes of digital silence."""
        self._budget = budget
        self._silence_codes = silence_codes
        self._frames = 0
        self._silent = 0
        self._kept: list[int] = []

    def observe(self, code: int) -> Reason | None:
        """One more frame. Returns why the generation should be given up, or None."""
        self._frames += 1
        if self._frames > self._budget:
            return "budget"
        self._silent = self._silent + 1 if code in self._silence_codes else 0
        if self._silent >= SILENT_FRAMES:
            return "silence"
        self._keep(code)
        if self._frames >= STUCK_FRAMES and self._frames % LOOKED_EVERY == 0:
            return self._repetition()
        return None

    def _keep(self, code: int) -> None:
        self._kept.append(code)
        if len(self._kept) == 2 * _KEPT:
            del self._kept[:_KEPT]

    def _repetition(self) -> Reason | None:
        codes = self._kept
        if codes[-STUCK_FRAMES:].count(codes[-1]) >= MATCHING * STUCK_FRAMES:
            return "stuck"
        for period in range(2, LONGEST_PERIOD + 1):
            compared = max((LOOP_REPEATS - 1) * period, LOOP_FRAMES - period)
            if compared + period > len(codes):
                continue
            if _matches(codes, period, compared):
                return "loop"
        return None


def _matches(codes: Sequence[int], period: int, compared: int) -> bool:
    """Whether the last `compared` codes equal those one period before, but for a tenth."""
    # Two first: they settle most periods.
    if codes[-1] != codes[-1 - period] and codes[-2] != codes[-2 - period]:
        return False
    end = len(codes)
    later, earlier = codes[end - compared :], codes[end - compared - period : end - period]
    same = sum(map(eq, later, earlier))
    return bool(same >= MATCHING * compared)
