"""The errors of the provenance room.

ProvenanceError                     provenance_error
├── StampFailed                     stamp_failed        (nothing may leave)
├── AudioUnreadable                 audio_unreadable, audio_layout_unsupported, manifest_unreadable
├── AudioTooLarge                   audio_too_large, audio_too_long
│   └── AudioTooCostly              audio_too_costly    (reading it takes more than an upload may take)
├── DecodingUnavailable             decoding_unavailable (nobody could look; not the file's fault)
├── FormatUnsupported               format_unsupported  (a format, rate or loudness that is not made)
├── ProfileInvalid                  profile_invalid     (a disclosure profile that cannot be used)
└── TokenInvalid                    token_invalid       (a stream's disclosure token does not verify)
"""

from __future__ import annotations

from foundation.errors import CodedError


class ProvenanceError(CodedError):
    """Root of every error this package raises on purpose."""

    code = "provenance_error"


class StampFailed(ProvenanceError):
    """A clip could not be marked; it must not leave."""

    code = "stamp_failed"


class AudioUnreadable(ProvenanceError):
    """Not audio that can be read."""

    code = "audio_unreadable"


class AudioTooLarge(ProvenanceError):
    """Larger or longer than this service looks at."""

    code = "audio_too_large"


class FormatUnsupported(ProvenanceError):
    """Asked for in a way that clips are not made."""

    code = "format_unsupported"


class AudioTooCostly(AudioTooLarge):
    """Reading it took more memory or time than an upload may take."""

    code = "audio_too_costly"


class DecodingUnavailable(ProvenanceError):
    """The process that takes uploads apart does not run, or is busy with others."""

    code = "decoding_unavailable"


class ProfileInvalid(ProvenanceError):
    """A disclosure profile that is not there, or asks for what no profile may."""

    code = "profile_invalid"


class TokenInvalid(ProvenanceError):
    """A disclosure token that is not ours, or was changed."""

    code = "token_invalid"
