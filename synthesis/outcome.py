"""How a synthesis that was begun and did not succeed is closed in the audit log, and what its row says.

One table for both doors. The outcome follows from the code alone, so that it is the same whether an error was raised
here or came over a handle:

    completed      the whole clip was made and handed over
    cut            this service ended it before its end, on purpose: its consent was withdrawn or had expired, its
                   voice was decommissioned, or its time was up
    disconnected   whoever had asked for it was gone
    failed         anything else; the reason is the code of what went wrong

A message of ours says what the caller can do. The message of anything unexpected is never passed on, as it could hold a
text that was to be spoken.
"""

from __future__ import annotations

import logging
from typing import Final, Literal, NamedTuple, TypeAlias

from consent_service.errors import (
    AccessError,
    GrantRevoked,
    InvalidInput,
    KeyDestroyed,
    NotFound,
)
from consent_service.models import Closing
from foundation.errors import CodedError
from foundation.redact import type_and_place
from speech.errors import RequestInvalid, SynthesisCancelled, TextError

log = logging.getLogger("vouch.synthesis")

RowStatus: TypeAlias = Literal["refused", "error"]

DISCONNECTED: Final = "disconnected"
_WITHDRAWN: Final = frozenset({"consent_revoked", "consent_expired", "voice_decommissioned"})
_CUT: Final = _WITHDRAWN | {"deadline_exceeded"}
# The row, or the consent behind it, must change before it can be spoken.
_REFUSALS: Final = (
    AccessError,
    NotFound,
    InvalidInput,
    GrantRevoked,
    KeyDestroyed,
    TextError,
    RequestInvalid,
)


class RowFailure(NamedTuple):
    """refused: the row, or the consent behind it, must change. error: it may work next time."""

    status: RowStatus
    code: str
    message: str


def closing_for(exc: BaseException, *, cancelled: str = DISCONNECTED) -> Closing:
    """The second audit record of a grant that was used up and came to nothing, or to less than the whole.

    cancelled: the code where a task was cancelled: `disconnected`, or `deadline_exceeded` where the caller knows that
    its time was up.
    """
    code = cancelled
    if isinstance(exc, Exception):
        code = exc.code if isinstance(exc, CodedError) else "internal_error"
    if code == DISCONNECTED:
        return Closing("disconnected", reason=code)
    return Closing("cut" if code in _CUT else "failed", reason=code)


def row_failure(exc: Exception) -> RowFailure:
    """What a row says that could not be spoken. Anything unexpected is logged, by its type and place."""
    if isinstance(exc, _REFUSALS):
        return RowFailure("refused", exc.code, exc.message)
    if isinstance(exc, SynthesisCancelled) and exc.code in _WITHDRAWN:
        return RowFailure("refused", exc.code, "the consent was withdrawn while the row was being spoken")
    if isinstance(exc, CodedError):
        return RowFailure("error", exc.code, exc.message)
    cause = type_and_place(exc)
    log.error("a row failed unexpectedly: %s", cause)
    return RowFailure("error", "internal_error", f"{cause}; run again, and report it if it stays")
