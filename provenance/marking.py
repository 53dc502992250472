"""The presence mark and the encoding, together: what counts is the mark that is in the encoded file (DESIGN I4)."""

from __future__ import annotations

from typing import Final

import numpy as np

from provenance.audio import Samples
from provenance.errors import StampFailed
from provenance.formats.decode import decode_own
from provenance.formats.delivery import Delivery
from provenance.formats.encode import encode
from provenance.presence import HOLDS, PresenceMark

# One word of a third of a second sometimes scores under the threshold; louder, the mark holds there too.
STRENGTHS: Final = (1.0, 1.3, 1.7, 2.5, 4.0)


class Marking:
    """Thread-safe."""

    def __init__(self) -> None:
        self._presence = PresenceMark()

    def warm_up(self) -> None:
        """Load the watermark's weights, so that the first clip is not slow."""
        self._presence.detect(np.full(16_000, 0.1, np.float32), 16_000)

    def encoded(self, samples: Samples, wanted: Delivery, label: str) -> bytes:
        """Marked, encoded and labelled. samples: at the rate that is wanted. Raises StampFailed."""
        residual = self._presence.residual(samples, wanted.sample_rate)
        for strength in STRENGTHS:
            data = encode(
                self._presence.add(samples, residual, strength), wanted.format, wanted.sample_rate, label
            )
            if self._holds(data, wanted):
                return _labelled(data, wanted, label)
        raise StampFailed("the presence mark did not hold in this clip")

    def encoded_again(self, samples: Samples, wanted: Delivery, label: str) -> tuple[bytes, bool]:
        """The same for sound that should carry the mark already: (file, whether it had to be put in here)."""
        data = encode(samples, wanted.format, wanted.sample_rate, label)
        if self._holds(data, wanted):
            return _labelled(data, wanted, label), False
        return self.encoded(samples, wanted, label), True

    def _holds(self, data: bytes, wanted: Delivery) -> bool:
        # Measured after encoding: the mark that counts is the one in the file.
        heard = decode_own(data, wanted.format, wanted.sample_rate)
        return self._presence.detect(heard.samples, heard.sample_rate) >= HOLDS


def _labelled(data: bytes, wanted: Delivery, label: str) -> bytes:
    if wanted.format.carries_label and label.encode() not in data:
        raise StampFailed("the encoded clip does not carry its label")
    return data
