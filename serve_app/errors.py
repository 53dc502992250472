"""Refusals of the online door, and the table from every error of its rooms to HTTP status.

The table is `consent_service.http.errors` with the rooms' classes added, and the codes that this door itself refuses
with. One code has one status: a test walks every class, every reason to deny and every code that is written out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from consent_service.http.errors import CONSENT_STATUS, StatusTable
from foundation.errors import CodedError
from provenance import errors as provenance
from speech import errors as speech

STATUS: Final = CONSENT_STATUS | StatusTable(
    {
        speech.SpeechError: 500,
        speech.TextError: 400,
        speech.RequestInvalid: 400,
        speech.UngrantedClone: 403,
        speech.SpeakerUnknown: 404,
        speech.EngineUnavailable: 503,
        speech.ModeUnsupported: 501,
        speech.EngineBusy: 503,
        speech.SynthesisFailed: 502,
        speech.SynthesisCancelled: 503,
        provenance.ProvenanceError: 500,
        provenance.StampFailed: 500,
        provenance.ProfileInvalid: 500,
        provenance.AudioUnreadable: 400,
        provenance.FormatUnsupported: 400,
        provenance.TokenInvalid: 400,
        provenance.AudioTooLarge: 413,
        provenance.DecodingUnavailable: 503,
    },
    {
        "instruct_missing": 400,
        "speed_unsupported": 400,
        "streaming_unsupported": 400,
        "form_invalid": 400,
        # Nothing is wrong with the stamper: there is too little to mark.
        "clip_silent": 400,
        "clip_too_short": 400,
        "text_too_long": 413,
        "range_not_satisfiable": 416,
        "gate_failed": 503,
        "revocations_unknown": 503,
    },
)


class RequestRefused(CodedError):
    """A request that ends here, with its stable code. `retry_after_s`: None says what the code says by itself. `kind`:
    the class of the error that it was on the other side of a handle. `headers`: of the answer."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
        kind: type[Exception] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.param = param
        self.retry_after_s = retry_after_s
        self.kind = kind
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        return STATUS.of(self.code, self.kind)


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal as a value: what one deployment answers another, so that no traceback crosses a handle."""

    code: str
    message: str
    kind: type[Exception] | None = None
    retry_after_s: float | None = None

    def __bool__(self) -> bool:
        return False

    @classmethod
    def of(cls, error: CodedError) -> Refused:
        kind = getattr(error, "kind", None) or type(error)
        return cls(
            error.code, error.message, None if kind is RequestRefused else kind,
            getattr(error, "retry_after_s", None),
        )  # fmt: skip

    def as_error(self) -> RequestRefused:
        return RequestRefused(self.code, self.message, kind=self.kind, retry_after_s=self.retry_after_s)
