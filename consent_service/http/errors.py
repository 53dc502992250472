"""One JSON shape for every error, and one table from errors to HTTP status.

    {"error": {"code": "consent_revoked", "message": "...", "type": "refused", "param": null, "request_id": "..."}}

The shape is the one that OpenAI's clients read. `code` is stable, and a code has one status wherever it is raised. The
most specific class decides, so that a new code of a known class has its status already; a code that more than one class
carries, or none, is settled by name. A door adds its rooms' classes with `|` (`serve_app.errors`). What is in no table
is a 500, and a test walks every class of every room.

    HttpError (ConsentError)        consent_error, never raised itself: what the edge refuses
    ├── RequestInvalid              request_invalid
    │   └── JsonInvalid             json_invalid
    ├── BodyTooLarge                upload_too_large
    ├── MediaTypeUnsupported        media_type_unsupported
    ├── DeadlineExceeded            deadline_exceeded
    └── Unexpected                  internal_error
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from consent_service import errors
from consent_service.policy.decide import REASONS
from foundation.errors import CodedError
from foundation.private_files import KeyFileUnsafe

ErrorType = Literal["invalid_request", "refused", "server_error"]


class HttpError(errors.ConsentError):
    """A request that ends at the edge. `param`: which part of it is meant, where it is one."""

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message, code=code)
        self.param = param


class RequestInvalid(HttpError):
    """A request that does not fit the description of its route."""

    code = "request_invalid"


class JsonInvalid(RequestInvalid):
    """A body that is not JSON."""

    code = "json_invalid"


class BodyTooLarge(HttpError):
    """More than the route reads."""

    code = "upload_too_large"


class MediaTypeUnsupported(HttpError):
    """A body of another kind than the route reads, or of none that was named."""

    code = "media_type_unsupported"


class DeadlineExceeded(HttpError):
    """The request took too long."""

    code = "deadline_exceeded"


class Unexpected(HttpError):
    """An error that nobody foresaw. Its words stay here."""

    code = "internal_error"


@dataclass(frozen=True)
class StatusTable:
    """HTTP status by error class, and by code where no class decides alone."""

    by_class: Mapping[type[Exception], int]
    by_code: Mapping[str, int] = field(default_factory=dict)
    _codes: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        codes = {
            code: self._of_class(kind)
            for root in self.by_class
            for kind in _family(root)
            if (code := getattr(kind, "code", None)) is not None
        }
        object.__setattr__(self, "_codes", {**codes, **self.by_code})

    def __or__(self, other: StatusTable) -> StatusTable:
        return StatusTable({**self.by_class, **other.by_class}, {**self.by_code, **other.by_code})

    def of(self, code: str, kind: type[BaseException] | None = None) -> int:
        """`kind`: the class that carried the code, where it is known. 500 for what is in no table."""
        if code in self.by_code:
            return self.by_code[code]
        status = None if kind is None else self._of_class(kind)
        return self._codes.get(code, 500) if status is None else status

    def _of_class(self, kind: type[BaseException]) -> int | None:
        return next((self.by_class[each] for each in kind.__mro__ if each in self.by_class), None)


def _family(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for child in root.__subclasses__():
        yield from _family(child)


CONSENT_STATUS: Final = StatusTable(
    {
        errors.ConsentError: 500,
        errors.ProofInvalid: 500,
        HttpError: 500,
        errors.InvalidInput: 400,
        RequestInvalid: 400,
        errors.Unauthenticated: 401,
        errors.LinkInvalid: 401,
        errors.AccessError: 403,
        errors.GrantError: 403,
        errors.ReplicaUnknown: 403,
        errors.KeyDestroyed: 403,
        errors.NotFound: 404,
        errors.Conflict: 409,
        BodyTooLarge: 413,
        MediaTypeUnsupported: 415,
        errors.RateLimited: 429,
        errors.VaultError: 503,
        KeyFileUnsafe: 503,
        errors.MessageNotSent: 503,
        errors.ExaminationUnavailable: 503,
        errors.LedgerUnavailable: 503,
        DeadlineExceeded: 504,
    },
    {
        # A refusal of the gate has no class. Where an operation on voices and consents raises the same code, it
        # answers the same: a client sees one code, and one status.
        **dict.fromkeys(REASONS, 403),
        "claim_invalid": 400,
        "purpose_required": 400,
        "purpose_unknown": 400,
        "voice_unknown": 404,
        "rate_limited": 429,
        "evidence_does_not_cover": 403,
        "recording_too_large": 413,
        "method_not_allowed": 405,
    },
)  # fmt: skip
# Seconds after which another try makes sense, where it is not the usual.
RETRY_AFTER_S: Final = {
    "engine_unavailable": 5.0, "examination_unavailable": 5.0, "revocations_unknown": 1.0, "rate_limited": 5.0,
}  # fmt: skip
_USUAL_RETRY_AFTER_S: Final = 2.0


class ErrorDetail(BaseModel):
    """What went wrong, and what to do."""

    code: str = Field(description="Stable; what a program should look at.")
    message: str = Field(description="What the caller can do about it.")
    type: ErrorType = Field(
        description="Whose turn it is: the caller's, whoever gives rights, or the service's."
    )
    param: str | None = Field(default=None, description="Which part of the request, where it is one.")
    request_id: str = Field(description="As in the header X-Request-Id, and in the service's log.")


class ErrorBody(BaseModel):
    """The one shape of every error."""

    error: ErrorDetail


def answer(
    request_id: str, error: Exception, table: StatusTable = CONSENT_STATUS, *, status: int | None = None
) -> JSONResponse:
    """What goes out for a coded error of any room: `code`, `message`, and, where it has them, `kind` (the class of an
    error that came over a handle), `param`, `retry_after_s` and `headers`. status: None for the table's."""
    code, message = str(getattr(error, "code", Unexpected.code)), str(getattr(error, "message", ""))
    if status is None:
        status = table.of(code, getattr(error, "kind", None) or type(error))
    detail = ErrorDetail(
        code=code, message=message, type=_type_of(status), param=getattr(error, "param", None),
        request_id=request_id,
    )  # fmt: skip
    headers: dict[str, str] = {**getattr(error, "headers", {})}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if (wait_s := retry_after_s(error, table)) > 0.0:
        headers["Retry-After"] = str(math.ceil(wait_s))
    return JSONResponse(ErrorBody(error=detail).model_dump(), status_code=status, headers=headers)


def _type_of(status: int) -> ErrorType:
    if status >= 500:
        return "server_error"
    return "refused" if status in (401, 403) else "invalid_request"


def retry_after_s(error: Exception, table: StatusTable = CONSENT_STATUS) -> float:
    """Seconds after which another try makes sense; 0.0 where it would not change the answer."""
    own: float | None = getattr(error, "retry_after_s", None)
    if own is not None:
        return own
    code = str(getattr(error, "code", Unexpected.code))
    unavailable = table.of(code, getattr(error, "kind", None) or type(error)) == 503
    return RETRY_AFTER_S.get(code, _USUAL_RETRY_AFTER_S if unavailable else 0.0)


def install(app: FastAPI, table: StatusTable = CONSENT_STATUS) -> None:
    """Answer every error that this house raises on purpose, and those of the framework, in the one shape."""

    def respond(request: Request, error: Exception, status: int | None = None) -> JSONResponse:
        return answer(request.state.request_id, error, table, status=status)

    async def coded(request: Request, exc: Exception) -> JSONResponse:
        return respond(request, exc)

    async def invalid(request: Request, exc: Exception) -> JSONResponse:
        assert isinstance(exc, RequestValidationError)  # noqa: S101 - registered for this class alone
        return respond(request, refusal_of(exc, request.headers.get("content-type")))

    async def http(request: Request, exc: Exception) -> JSONResponse:
        assert isinstance(exc, HTTPException)  # noqa: S101 - registered for this class alone
        code = {404: "not_found", 405: "method_not_allowed"}.get(exc.status_code, "request_invalid")
        response = respond(request, HttpError(str(exc.detail), code=code), exc.status_code)
        response.headers.update(exc.headers or {})
        return response

    handlers: dict[type[Exception], Callable[..., Any]] = {
        CodedError: coded, RequestValidationError: invalid, HTTPException: http,
    }  # fmt: skip
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def refusal_of(invalid: RequestValidationError, content_type: str | None) -> HttpError:
    """What is wrong and where; never what was sent, which may be a recording or a token."""
    first: dict[str, Any] = dict(invalid.errors()[0])
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    if first["type"] == "json_invalid":
        return JsonInvalid("the body is not JSON")
    # The framework takes a body that is not said to be JSON for a string, and says that a string is no object.
    if tuple(first["loc"]) == ("body",) and first["type"] != "missing" and not _is_json(content_type):
        named = "names no Content-Type" if not content_type else "is of another Content-Type"
        return MediaTypeUnsupported(f"the body {named}: send JSON with 'Content-Type: application/json'")
    return RequestInvalid(f"{place or 'body'}: {first['msg']}", param=place or None)


def _is_json(content_type: str | None) -> bool:
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
