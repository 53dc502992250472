"""One request on its way through the engine: its segments, one generation each, joined into one stream.

A generation that runs away is tried once more with another seed, but only while nothing of it has been heard:
what a listener has, nobody can take back. Then, or the second time, the request fails.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from torch import Tensor

from speech.engine import SAMPLE_RATE, Samples, SpeechRequest
from speech.errors import SynthesisFailed
from speech.joining import Joiner
from speech.qwen.compose import Prompt
from speech.qwen.schedule import Playback, chunk_frames
from speech.runaway import RunawayDetector
from speech.segments import Segment
from speech.stream import QueuedStream

Delivery: TypeAlias = Literal["stream", "segment"]
Heard: TypeAlias = Literal["on", "end", "again"]  # "end": this frame is not part of the speech any more

_ATTEMPTS: Final = 2


@dataclass(frozen=True, slots=True)
class Part:
    """A segment made ready: what the talker reads, and how many frames it may take. reference: int64[groups, T]
    codes that the codec continues from, with in-context learning.
    """

    prompt: Prompt
    budget: int
    reference: Tensor | None = field(default=None, repr=False)

    def erase(self) -> None:
        """Overwrite with zeros: it holds a voice. All tensors are the part's own."""
        for tensor in (self.prompt.embeddings, self.prompt.text, self.reference):
            if tensor is not None:
                tensor.zero_()


class Job:
    """State of a request. All but `stream` belongs to the engine's thread."""

    def __init__(
        self,
        request: SpeechRequest,
        stream: QueuedStream,
        segments: tuple[Segment, ...],
        compose: Callable[[str], Part],
        *,
        delivery: Delivery,
        cut: bool,
        silence: Set[int],
        arrived: float,
    ) -> None:
        """compose: text of a segment → part; called in another thread. cut: give what there is of a runaway.

        silence: first codes that say nothing.
        """
        self.stream = stream
        self.compose = compose
        self.playback = Playback(arrived)
        self.part: Part | None = None
        self.read = 0  # prompt positions that the talker has read
        self._segments = segments
        self._index = 0
        self._attempt = 0
        self._seed = request.seed
        self._joiner = Joiner(SAMPLE_RATE)
        self._hold, self._cut = delivery == "segment", cut
        self._codes: list[Tensor] = []  # frames not yet decoded, int64[groups] each
        self._decoded = 0
        self._silence = silence
        self._detector = RunawayDetector(0)

    # the current segment ------------------------------------------------------------------------------------------
    @property
    def text(self) -> str:
        return self._segments[self._index].text

    @property
    def seed(self) -> int:
        """Of this segment's attempt; the request's own for the first."""
        if self._index == 0 and self._attempt == 0:
            return self._seed
        name = f"{self._seed} {self._index} {self._attempt}".encode()
        return int.from_bytes(hashlib.sha256(name).digest()[:7], "big")

    def begin(self, part: Part) -> None:
        """The segment can be generated."""
        self.part = part
        self._restart(part)

    def drop(self) -> None:
        """Erase what the segment was made from."""
        part, self.part = self.part, None
        if part is not None:
            part.erase()
        self._codes.clear()

    def heard(self, codes: Tensor) -> Heard:
        """One more frame, int64[groups]. Raises SynthesisFailed when it ran away and can't be tried again."""
        reason = self._detector.observe(int(codes[0]))
        if reason is None:
            self._codes.append(codes)
            self._count()
            return "on"
        if self._cut:
            return "end"
        if self._attempt + 1 == _ATTEMPTS or self._decoded:
            raise SynthesisFailed(_RUNAWAY[reason] + "; ask again with another seed or a shorter text")
        self._attempt += 1
        if self.part is not None:
            self._restart(self.part)
        return "again"

    def _restart(self, part: Part) -> None:
        self.read = 0
        self._codes.clear()
        self._decoded = 0
        self._detector = RunawayDetector(part.budget, silence_codes=self._silence)

    def due(self) -> int:
        """Frames that should be decoded now."""
        wanted = chunk_frames(self._decoded)
        return wanted if not self._hold and len(self._codes) >= wanted else 0

    def upcoming(self, frames: int) -> list[Tensor]:
        return self._codes[:frames]

    def decoded(self, frames: int) -> None:
        """The upcoming frames are sound now."""
        del self._codes[:frames]
        self._decoded += frames
        self._count()

    def _count(self) -> None:
        self.playback.missing = max(0, chunk_frames(self._decoded) - len(self._codes))

    @property
    def waiting_frames(self) -> int:
        return len(self._codes)

    # what leaves --------------------------------------------------------------------------------------------------
    def give(self, samples: Samples, now: float) -> None:
        """Samples of the segment. Raises SynthesisCancelled, SynthesisFailed."""
        self._emit(self._joiner.feed(samples), now)

    def end_segment(self, now: float) -> bool:
        """The segment is whole. True when there is another one; else the stream is finished."""
        self._emit(self._joiner.end_segment(self._segments[self._index].pause_s), now)
        self.drop()
        self._index, self._attempt = self._index + 1, 0
        if self._index < len(self._segments):
            return True
        self._emit(self._joiner.finish(), now)
        self.stream.finish()
        return False

    def _emit(self, samples: Samples, now: float) -> None:
        if samples.size:
            self.stream.emit(samples)
            self.playback.gave(samples.size / SAMPLE_RATE, now)


_RUNAWAY: Final = {
    "budget": "the model found no end within the text's frame budget",
    "stuck": "the model got stuck on one sound",
    "loop": "the model repeated itself",
    "silence": "the model fell silent",
}
