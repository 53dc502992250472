"""The errors of the provenance room.

ProvenanceError                     provenance_error
├── StampFailed                     stamp_failed        (nothing may leave)
├── AudioUnreadable                 audio_unreadable    (a broken upload, or not audio)
└── AudioTooLarge                   audio_too_large
"""

from __future__ import annotations


class ProvenanceError(Exception):
    """Root of every error this package raises on purpose."""

    code = "provenance_error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.code))


def _rebuild(kind: type[ProvenanceError], message: str, code: str) -> ProvenanceError:
    return kind(message, code=code)


class StampFailed(ProvenanceError):
    """A clip could not be marked; it must not leave."""

    code = "stamp_failed"


class AudioUnreadable(ProvenanceError):
    """Not audio that can be read."""

    code = "audio_unreadable"


class AudioTooLarge(ProvenanceError):
    """Larger or longer than this service looks at."""

    code = "audio_too_large"
