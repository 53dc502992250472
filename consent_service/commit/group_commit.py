"""Group commit: what concurrent callers of one process ask of a tenant's log goes into one transaction.

A commit waits for the disk, whether it carries one entry or a hundred. Whoever finds the log idle writes at once;
whoever comes while it writes is collected, and the first of those writes for all of them. Each operation gets its own
outcome: one that is refused leaves only the record of its refusal, one that the database rejects is tried again by
itself, so that no caller fails because of another. Nobody hears of success before the commit (DESIGN I3).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Generic, Protocol, TypeVar

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from consent_service.commit.batch import LedgerBatch
from consent_service.errors import ConsentError, LedgerUnavailable
from consent_service.ledger.transaction import WriteTransaction
from consent_service.proofs.merkle import Frontier
from foundation.errors import CodedError

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

_MOST: Final = 1000  # operations of one transaction: others wait behind it
_GIVE_UP_S: Final = 60.0  # past this, a transaction under way is taken for lost; its outcome is unknown


class Operation(Protocol[T_co]):
    """One caller's part of a group. `run` reads the ledger through the group and writes through it alone."""

    @property
    def grant_id(self) -> str | None:
        """The grant that it is about: the group looks up beforehand whether that was used."""

    @property
    def clip_id(self) -> str | None:
        """The clip that it is about: the group reads its record beforehand."""

    def run(self, group: LedgerBatch) -> T_co:
        """Raises a ConsentError to refuse; what it wrote until then is undone."""

    def refused(self, group: LedgerBatch, error: ConsentError) -> None:
        """Record the refusal."""


class LazyCheckpoint:
    """The checkpoint over a group's last leaf, signed once, when the first of its callers asks."""

    def __init__(self, sign: Callable[[Frontier], str], tree: Frontier) -> None:
        self._sign, self._tree = sign, tree
        self._lock = threading.Lock()
        self._text = ""

    def text(self) -> str:
        with self._lock:
            if not self._text:
                self._text = self._sign(self._tree)
            return self._text


@dataclass(frozen=True, slots=True)
class Committed(Generic[T_co]):
    """What an operation came to, on the disk."""

    value: T_co
    checkpoint: LazyCheckpoint


@dataclass(slots=True, eq=False)
class _Ticket:
    """One caller, waiting."""

    operations: Sequence[Operation[object]]
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    outcomes: list[Committed[object] | Exception] | None = None


class Committer:
    """The queue before one tenant's log. Thread-safe.

    begin: opens the tenant's transaction; leaving it commits. sign: a checkpoint over a tree of the tenant's log.
    wait_s: how long a caller waits for its turn."""

    def __init__(
        self,
        begin: Callable[[], AbstractContextManager[WriteTransaction]],
        sign: Callable[[Frontier], str],
        wait_s: float,
    ) -> None:
        self._begin, self._sign, self._wait_s = begin, sign, wait_s
        self._mutex = threading.Lock()
        self._queue: deque[_Ticket] = deque()
        self._busy = False

    def submit(self, operation: Operation[T]) -> Committed[T]:
        """Raises what the operation raised, or LedgerUnavailable."""
        outcome = self.submit_all([operation])[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def submit_all(self, operations: Sequence[Operation[T]]) -> list[Committed[T] | Exception]:
        """The outcome of each, in order."""
        outcomes: list[Committed[T] | Exception] = []
        rest = iter(operations)
        while part := list(islice(rest, _MOST)):
            ticket = _Ticket(part)
            self._join(ticket)
            if ticket.outcomes is None:  # whoever led was interrupted
                raise LedgerUnavailable(
                    "the ledger did not answer; whether it recorded the request is unknown"
                )
            outcomes += ticket.outcomes  # type: ignore[arg-type]
        return outcomes

    def _join(self, ticket: _Ticket) -> None:
        with self._mutex:
            if self._busy:
                self._queue.append(ticket)
            else:
                self._busy = ticket.leads = True
        if not ticket.leads and not ticket.woken.wait(self._wait_s):
            self._leave(ticket)
        if ticket.leads:
            self._lead(ticket)

    def _leave(self, ticket: _Ticket) -> None:
        """The wait was too long. A ticket that is being written must stay until it is known how that ended."""
        with self._mutex:
            if ticket in self._queue:
                self._queue.remove(ticket)
                raise LedgerUnavailable("the ledger is busy; try again")
        if not ticket.woken.wait(_GIVE_UP_S):
            raise LedgerUnavailable("the ledger did not answer; whether it recorded the request is unknown")

    def _lead(self, first: _Ticket) -> None:
        with self._mutex:
            group, size = [first], len(first.operations)
            while self._queue and size + len(self._queue[0].operations) <= _MOST:
                group.append(self._queue.popleft())
                size += len(group[-1].operations)
        try:
            self._settle(group)
        finally:
            with self._mutex:
                after = self._queue.popleft() if self._queue else None
                if after is None:
                    self._busy = False
                else:
                    after.leads = True
            for ticket in group[1:]:
                ticket.woken.set()
            if after is not None:
                after.woken.set()

    def _settle(self, group: Sequence[_Ticket]) -> None:
        operations = [operation for ticket in group for operation in ticket.operations]
        try:
            outcomes = self._transact(operations)
        except LedgerUnavailable as exc:
            rejected = isinstance(exc.__cause__, IntegrityError | DataError) and len(operations) > 1
            outcomes = [self._alone(each) if rejected else _unavailable(exc) for each in operations]
        except Exception as exc:  # noqa: BLE001 - whatever it is, every caller must hear of it
            outcomes = [exc if isinstance(exc, CodedError) else _unavailable(exc) for _ in operations]
        told = iter(outcomes)
        for ticket in group:
            ticket.outcomes = list(islice(told, len(ticket.operations)))

    def _alone(self, operation: Operation[object]) -> Committed[object] | Exception:
        try:
            return self._transact([operation])[0]
        except Exception as exc:  # noqa: BLE001 - its caller raises it
            return exc

    def _transact(self, operations: Sequence[Operation[object]]) -> list[Committed[object] | Exception]:
        """One transaction. Raises when nothing of it was committed, or when that is unknown."""
        values: list[object] = []
        with self._begin() as writing:
            grants = [each.grant_id for each in operations if each.grant_id is not None]
            group = LedgerBatch(
                writing, grants, [each.clip_id for each in operations if each.clip_id is not None]
            )
            for operation in operations:
                values.append(_run(operation, group))
            group.flush()
        checkpoint = LazyCheckpoint(self._sign, writing.log.tree)
        return [value if isinstance(value, Exception) else Committed(value, checkpoint) for value in values]


def _unavailable(cause: Exception) -> LedgerUnavailable:
    """One for each caller: an exception that several threads raise would mix up their traces."""
    told = (
        cause.message
        if isinstance(cause, LedgerUnavailable)
        else "the ledger could not record the request; try again"
    )
    error = LedgerUnavailable(told)
    error.__cause__ = cause
    return error


def _run(operation: Operation[object], group: LedgerBatch) -> object:
    """Its value, or the exception that ended it; never both a trace and a refusal."""
    before = group.mark()
    try:
        return operation.run(group)
    except SQLAlchemyError:
        raise
    except ConsentError as exc:
        group.undo(before)
        operation.refused(group, exc)
        return exc
    except Exception as exc:  # noqa: BLE001 - one that is broken must not fail its neighbours
        group.undo(before)
        return exc
