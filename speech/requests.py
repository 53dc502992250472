"""What every engine refuses before it queues a request, in one place so that all engines refuse alike."""

from __future__ import annotations

from speech.engine import CloneRequest, CustomVoiceRequest, DesignRequest, EngineInfo, Mode, SpeechRequest
from speech.errors import ModeUnsupported, RequestInvalid, SpeakerUnknown, TextError
from speech.text import check

_LARGEST_SEED = 2**63 - 1


def mode_of(request: SpeechRequest) -> Mode:
    match request:
        case CloneRequest():
            return "clone"
        case CustomVoiceRequest():
            return "custom"
        case DesignRequest():
            return "design"


def check_request(request: SpeechRequest, info: EngineInfo, *, max_characters: int) -> None:
    """Raises ModeUnsupported, SpeakerUnknown, RequestInvalid or TextError."""
    mode = mode_of(request)
    if mode not in info.modes:
        offered = ", ".join(sorted(info.modes))
        raise ModeUnsupported(f"this engine has no checkpoint for {mode!r} requests; it offers: {offered}")
    check(request.utterance, max_characters=max_characters)
    if request.utterance.language not in info.languages:
        raise TextError(
            f"the loaded model does not speak this language; it speaks: {', '.join(info.languages)}",
            code="language_unsupported",
        )
    if not 0 <= request.seed <= _LARGEST_SEED:
        raise RequestInvalid(f"a seed lies between 0 and {_LARGEST_SEED}")
    known = {speaker.casefold() for speaker in info.speakers}
    if isinstance(request, CustomVoiceRequest) and request.speaker.casefold() not in known:
        raise SpeakerUnknown(f"no preset speaker of that name; choose one of {', '.join(info.speakers)}")
    if isinstance(request, DesignRequest) and not request.utterance.instruct:
        raise TextError("a designed voice needs a description in `instruct`", code="instruct_missing")
