"""One JSON shape for every error, and one table from error classes to HTTP status.

    {"error": {"code": "consent_revoked", "message": "...", "param": null, "request_id": "..."}}

`code` is stable. The most specific class decides, so that a new code of a known class has its status already; a class
that is not in the table is a 500, and a test walks the tree.
"""

from __future__ import annotations

import math
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from consent_service import errors
from foundation.errors import CodedError
from foundation.private_files import KeyFileUnsafe

STATUS: Final[dict[type[CodedError], int]] = {
    errors.InvalidInput: 400,
    errors.Unauthenticated: 401,
    errors.LinkInvalid: 401,
    errors.PermissionDenied: 403,
    errors.GrantError: 403,
    errors.ReplicaUnknown: 403,
    errors.KeyDestroyed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.RateLimited: 429,
    errors.VaultError: 503,
    KeyFileUnsafe: 503,
    errors.MessageNotSent: 503,
    errors.ExaminationUnavailable: 503,
    errors.LedgerUnavailable: 503,
    errors.AccessError: 403,
    errors.ProofInvalid: 500,
    errors.ConsentError: 500,
}
RETRY_AFTER_S: Final = 2  # for what is down


class ErrorDetail(BaseModel):
    code: str = Field(description="Stable; what a program should look at.")
    message: str = Field(description="What the caller can do about it.")
    param: str | None = Field(default=None, description="Which part of the request, where it is one.")
    request_id: str = Field(description="As in the header X-Request-Id, and in the service's log.")


class ErrorBody(BaseModel):
    """The shape of every error."""

    error: ErrorDetail


def status_of(error: CodedError) -> int:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def answer(
    request_id: str,
    status: int,
    code: str,
    message: str,
    *,
    param: str | None = None,
    retry_after_s: float = 0.0,
) -> JSONResponse:
    detail = ErrorDetail(code=code, message=message, param=param, request_id=request_id)
    headers: dict[str, str] = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if retry_after_s > 0.0:
        headers["Retry-After"] = str(math.ceil(retry_after_s))
    return JSONResponse(ErrorBody(error=detail).model_dump(), status_code=status, headers=headers)


async def refused(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, CodedError)  # noqa: S101 - registered for this class alone
    status = status_of(exc)
    wait_s = exc.retry_after_s if isinstance(exc, errors.RateLimited) else RETRY_AFTER_S * (status == 503)
    return answer(request.state.request_id, status, exc.code, exc.message, retry_after_s=wait_s)


async def invalid(request: Request, exc: Exception) -> JSONResponse:
    """Says what is wrong and where; never what was sent, which may be a recording or a token."""
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - registered for this class alone
    first: dict[str, Any] = dict(exc.errors()[0])
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    if first["type"] == "json_invalid":
        return answer(request.state.request_id, 400, "json_invalid", "the body is not JSON")
    message = f"{place or 'body'}: {first['msg']}"
    return answer(request.state.request_id, 400, "request_invalid", message, param=place or None)


async def http(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)  # noqa: S101 - registered for this class alone
    code = {404: "not_found", 405: "method_not_allowed"}.get(exc.status_code, "request_invalid")
    response = answer(request.state.request_id, exc.status_code, code, str(exc.detail))
    response.headers.update(exc.headers or {})
    return response
