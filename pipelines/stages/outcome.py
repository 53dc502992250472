"""What an exception means for one row.

*refused*: the row, or the consent behind it, must change before it can be spoken. *error*: it may work next
time. Both are final for this run, and neither is ever audio (DESIGN I2). A message of ours says what to do;
the message of anything unexpected is never passed on, as it could hold a text.
"""

from __future__ import annotations

import logging
from typing import Final

from consent_service.errors import (
    AccessError,
    GrantRevoked,
    InvalidInput,
    KeyDestroyed,
    NotFound,
)
from foundation.errors import CodedError
from foundation.redact import type_and_place
from pipelines.rows import Status
from speech.errors import RequestInvalid, SynthesisCancelled, TextError

log = logging.getLogger("vouch.narrate")

_REFUSALS: Final = (
    AccessError,
    NotFound,
    InvalidInput,
    GrantRevoked,
    KeyDestroyed,
    TextError,
    RequestInvalid,
)
_WITHDRAWN: Final = frozenset({"consent_revoked", "consent_expired", "voice_decommissioned"})


def outcome_of(exc: Exception) -> tuple[Status, str, str]:
    """(status, stable code, message) of a failed row."""
    if isinstance(exc, _REFUSALS):
        return "refused", exc.code, exc.message
    if isinstance(exc, SynthesisCancelled) and exc.code in _WITHDRAWN:
        return "refused", exc.code, "the consent was withdrawn while the row was being spoken"
    if isinstance(exc, CodedError):
        return "error", exc.code, exc.message
    # The kind and the place are enough to find it; the message could hold what was being said.
    cause = type_and_place(exc)
    log.error("a row failed unexpectedly: %s", cause)
    return "error", "internal_error", f"{cause}; run again, and report it if it stays"
