"""The one root of the errors that this house raises on purpose.

    CodedError
    ├── KeyFileUnsafe        key_file_unsafe     (`foundation.private_files`)
    └── a root for each room: ConsentError, SpeechError, ProvenanceError, PipelineError, RequestRefused

`code` is stable and goes out over HTTP and into status columns; the message says what the caller can do. No message
ever holds a text to be spoken, a recording, a key or a token.
"""

from __future__ import annotations

from typing import Any


class CodedError(Exception):
    """An error with a stable code. `code`: the class's own, unless one is given."""

    code = "internal_error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process borders (actors, replicas). Rebuilt from what they hold, not by their constructor, so
        # that the code and whatever else a subclass keeps survive.
        return (_rebuild, (type(self), *self.args), vars(self))


def _rebuild(kind: type[CodedError], *args: Any) -> CodedError:
    return kind.__new__(kind, *args)
