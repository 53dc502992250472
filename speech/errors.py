"""The errors of the speech room.

SpeechError                         speech_error
├── TextError                       text_invalid   (text_empty, text_too_long, text_control_characters,
│                                                   language_unsupported, instruct_missing, instruct_too_long,
│                                                   markup_invalid, lexicon_invalid)
├── RequestInvalid                  request_invalid
│   ├── UngrantedClone              grant_missing
│   └── SpeakerUnknown              speaker_unknown
├── EngineUnavailable               engine_unavailable   (not installed, no checkpoint, no device)
│   └── ModeUnsupported             mode_unsupported     (no checkpoint for clone, custom voice or design)
├── EngineBusy                      overloaded           (too many requests, or out of memory; ask again)
├── SynthesisFailed                 synthesis_failed
└── SynthesisCancelled              synthesis_cancelled  (or the reason's code, such as consent_revoked)
"""

from __future__ import annotations

from foundation.errors import CodedError


class SpeechError(CodedError):
    """Root of every error this package raises on purpose. No message holds a text or a recording."""

    code = "speech_error"


class TextError(SpeechError):
    """A text, language or instruction that cannot be spoken."""

    code = "text_invalid"


class RequestInvalid(SpeechError):
    """A request that cannot be built."""

    code = "request_invalid"


class UngrantedClone(RequestInvalid):
    """A clone request without a verified grant for this utterance."""

    code = "grant_missing"


class SpeakerUnknown(RequestInvalid):
    """No preset speaker of that name."""

    code = "speaker_unknown"


class EngineUnavailable(SpeechError):
    """The engine cannot run here; the message says what is missing."""

    code = "engine_unavailable"


class ModeUnsupported(EngineUnavailable):
    """The engine has no checkpoint for this kind of request."""

    code = "mode_unsupported"


class EngineBusy(SpeechError):
    """The engine refuses this request so that others can go on; the same request may succeed later."""

    code = "overloaded"


class SynthesisFailed(SpeechError):
    """The engine failed on this request; others are not affected."""

    code = "synthesis_failed"


class SynthesisCancelled(SpeechError):
    """The request was cancelled; `code` is the reason given to `cancel`."""

    code = "synthesis_cancelled"
