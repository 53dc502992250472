"""How often a stranger may fail, and how often a caller may be refused: token buckets.

A failed authentication costs a token of the key id it named and one of the address it came from. An address without
tokens is refused before the ledger is asked, whatever it sends, so that the answer tells nothing. A key id without
tokens is refused only to addresses that have failed themselves: whoever knows a key id can't lock its holder out.
Where no address is known, a key is compared first, and only a failure is told to wait.
A refusal that the audit log must record costs a token too, each row of a batch its own: an authenticated caller can't
fill the disk with them. Those of grants count against the key that the grants were made for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from consent_service.errors import (
    GrantExpired,
    GrantMismatch,
    GrantRevoked,
    GrantUsed,
    LinkInvalid,
    RateLimited,
    ReplicaUnknown,
)
from foundation.rate_limits import Buckets

_REFUSED_TOO_OFTEN: Final = "too many refused requests"
# Those that the audit log records. A forged grant belongs to no tenant and leaves no entry.
_RECORDED: Final = (
    GrantExpired, GrantMismatch, GrantRevoked, GrantUsed, ReplicaUnknown,
)  # fmt: skip


class LimitsConfig(BaseModel):
    """Burst and refill of each bucket."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    failures: int = Field(
        default=20, ge=1, description="Failed authentications in a row, per key id and address."
    )
    failures_per_s: float = Field(default=0.2, gt=0, description="How fast an address is forgiven.")
    refusals: int = Field(
        default=10_000, ge=1, description="Refusals in a row, of one key, that are written to the audit log."
    )
    refusals_per_s: float = Field(default=100.0, gt=0, description="How fast a key is forgiven.")
    messages: int = Field(default=5, ge=1, description="Sign-in links asked for in a row, per address.")
    messages_per_s: float = Field(default=1 / 60, gt=0, description="How fast that refills.")


class Limits:
    """The limits of one open service."""

    def __init__(self, config: LimitsConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._addresses = Buckets(config.failures, config.failures_per_s, clock=clock)
        self._keys = Buckets(config.failures, config.failures_per_s, clock=clock)
        self._refusals = Buckets(config.refusals, config.refusals_per_s, clock=clock)
        self._most_owed = float(config.refusals)  # a batch is redeemed whole before its refusals are counted
        self._messages = Buckets(config.messages, config.messages_per_s, clock=clock)

    def before_authentication(self, key_id: str, source: str | None) -> None:
        """Raises RateLimited."""
        if not source:
            return
        waits = [self._addresses.wait_s(source)]
        if not self._addresses.is_full(source):
            waits.append(self._keys.wait_s(key_id))
        _require_token(max(waits), "too many failed attempts")

    def failed(self, key_id: str, source: str | None) -> None:
        """Raises RateLimited where no address is known and the key id has no token left."""
        if source:
            self._addresses.take(source)
        else:
            _require_token(self._keys.wait_s(key_id), "too many failed attempts")
        self._keys.take(key_id)

    @contextmanager
    def failures_of(self, token: str, source: str | None) -> Iterator[None]:
        """Count a link that turns out invalid within. Raises RateLimited instead, after too many."""
        self.before_authentication(token, source)
        try:
            yield
        except LinkInvalid:
            self.failed(token, source)
            raise

    def before_refusals(self, key_id: str) -> None:
        """Before a call that is refused whole, on the record. Raises RateLimited."""
        if not self._refusals.take_up_to(key_id, 1):
            raise self.too_many_refusals(key_id)

    def refusals_to_record(self, key_id: str, refused: int) -> int:
        """How many of so many refused claims may be written to the log now."""
        return self._refusals.take_up_to(key_id, refused)

    def too_many_refusals(self, key_id: str) -> RateLimited:
        return _limited(self._refusals.wait_s(key_id), _REFUSED_TOO_OFTEN)

    def before_redemption(self, key_id: str) -> None:
        """Raises RateLimited when too many grants that this key asked for were refused."""
        _require_token(self._refusals.wait_s(_grants_of(key_id)), _REFUSED_TOO_OFTEN)

    def after_redemption(self, key_id: str, error: object) -> None:
        """Count a refusal that the log recorded."""
        if isinstance(error, _RECORDED):
            self._refusals.take(_grants_of(key_id), least=-self._most_owed)

    def message(self, source: str | None) -> None:
        """Count a request for a link. Raises RateLimited."""
        if source:
            _require_token(self._messages.wait_s(source), "too many links were asked for")
            self._messages.take(source)


def _grants_of(key_id: str) -> str:
    """A bucket of their own: whoever is refused new grants may still use those that were given."""
    return f"grants of {key_id}"


def _require_token(wait_s: float, what: str) -> None:
    if wait_s > 0.0:
        raise _limited(wait_s, what)


def _limited(wait_s: float, what: str) -> RateLimited:
    return RateLimited(f"{what}; try again later", retry_after_s=wait_s)
