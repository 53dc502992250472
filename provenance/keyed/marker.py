"""The marking end in a replica: the keys of the epochs it has met, and a clip's tag put into its samples.

A clip without a tag, or of an epoch whose key isn't here, is not marked and so must not leave: StampFailed.
"""

from __future__ import annotations

from typing import Final

from consent_service.proofs.records import WatermarkTag
from provenance.audio import Samples
from provenance.errors import StampFailed
from provenance.keyed.embed import Embedder, embed
from provenance.keyed.pattern import Pattern

_KEPT_EPOCHS: Final = 4


class Marker:
    """One per replica. Keys stay in memory and are shown nowhere."""

    def __init__(self) -> None:
        self._patterns: dict[int, Pattern] = {}

    def knows(self, epoch: int) -> bool:
        return epoch in self._patterns

    def learn(self, epoch: int, key: bytes) -> None:
        """The key of an epoch: 32 bytes, as the key provider derives it."""
        self._patterns[epoch] = Pattern(key)
        for old in sorted(self._patterns)[:-_KEPT_EPOCHS]:
            del self._patterns[old]

    def mark(self, samples: Samples, mark: WatermarkTag | None) -> Samples:
        """A marked copy of a whole clip. samples: float32[n], mono, 24 kHz. Raises StampFailed."""
        pattern, tag = self._known(mark)
        return embed(samples, pattern, tag)

    def embedder(self, mark: WatermarkTag | None) -> Embedder:
        """The same, chunk by chunk. Raises StampFailed."""
        return Embedder(*self._known(mark))

    def _known(self, mark: WatermarkTag | None) -> tuple[Pattern, int]:
        if mark is None:
            raise StampFailed("no watermark tag was allotted to this clip")
        pattern = self._patterns.get(mark.epoch)
        if pattern is None:
            raise StampFailed("the key of the clip's watermark epoch is not here")
        return pattern, mark.tag
