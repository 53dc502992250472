"""What shows that a person agreed: their approved statements, each good until what rests on it is taken back.

Whoever withdraws or narrows a consent takes back what they said for it. Nobody on the organisation's side can undo
that by recording the same words once more: it takes a statement that was approved afterwards. A consent that merely
ran out takes nothing back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from consent_service.errors import InvalidInput
from consent_service.ledger.rows import rows_of
from consent_service.ledger.tables import consent_versions, consents, enrolments
from consent_service.policy import purposes


@dataclass(frozen=True, slots=True)
class _TakenBack:
    """A withdrawal or a narrowing: when, of what, and the statements that the consent was recorded on."""

    at: float
    purposes: tuple[str, ...]
    statements: frozenset[str]

    def reaches(self, statement: RowMapping) -> bool:
        # By its id too: clocks are not to be trusted with two events of one instant.
        if statement["enrolment_id"] in self.statements:
            return True
        said = statement["purpose"]
        touches = any(purposes.covers(said, one) or purposes.covers(one, said) for one in self.purposes)
        return touches and (statement["approved_at"] or 0.0) < self.at


def evidence_for(
    connection: Connection, voice: RowMapping, grantee: str, asked: tuple[str, ...]
) -> dict[str, Any]:
    """What shows that the person agreed to these purposes for this grantee: the enrolment's evidence, and under
    `statements` every approved statement that one of the purposes rests on.

    Raises InvalidInput (evidence_does_not_cover) when the person said no such thing, or took it back.
    """
    where_row = rows_of(enrolments, voice["tenant"], voice_id=voice["voice_id"])
    approved = enrolments.c.state == "approved"
    proofs = list(connection.execute(select(enrolments).where(where_row, approved)).mappings())
    said = [row for row in proofs if row["grantee"] == grantee]
    taken_back = list(_taken_back(connection, voice, grantee))
    stands = [row for row in said if not any(each.reaches(row) for each in taken_back)]
    rests_on = {
        row["enrolment_id"]: row
        for purpose in asked
        for row in [next((row for row in stands if purposes.covers(row["purpose"], purpose)), None)]
        if row is not None
    }
    if not _cover(rests_on.values(), asked):
        raise InvalidInput(
            "a consent that rested on the person's statement was withdrawn or narrowed since; record a further "
            "statement for this grantee and purpose"
            if _cover(said, asked)
            else "the person's recorded statement names another grantee or purpose; record a further statement for "
            "this one",
            code="evidence_does_not_cover",
        )
    first = next((row for row in proofs if row["kind"] == "enrolment"), None)
    proved: dict[str, Any] = {} if first is None else {**(first["evidence"] or {}), **_named(first)}
    proved["statements"] = [
        {**_named(row), "purpose": row["purpose"], "kind": row["kind"]} for row in rests_on.values()
    ]
    return proved


def _taken_back(connection: Connection, voice: RowMapping, grantee: str) -> Iterator[_TakenBack]:
    """Every withdrawal and narrowing of a consent of this voice for this grantee."""
    where_row = rows_of(consents, voice["tenant"], voice_id=voice["voice_id"])
    for consent in connection.execute(select(consents).where(where_row)).mappings():
        if consent["terms"]["grantee"] != grantee or (consent["version"], consent["state"]) == (1, "live"):
            continue
        statements = frozenset(
            each["enrolment"] for each in (consent["evidence"] or {}).get("statements", ())
        )
        of = (consent_versions.c.tenant == voice["tenant"]) & (
            consent_versions.c.consent_id == consent["consent_id"]
        )
        query = select(consent_versions.c.terms, consent_versions.c.recorded_at).where(of)
        versions = connection.execute(query.order_by(consent_versions.c.version)).all()
        ends = [*(version.recorded_at for version in versions[1:]), consent["revoked_at"]]
        for version, at in zip(versions, ends, strict=True):
            if at is not None:
                yield _TakenBack(at, tuple(version.terms["purposes"]), statements)


def _cover(statements: Iterable[RowMapping], asked: tuple[str, ...]) -> bool:
    covered = tuple(row["purpose"] for row in statements)
    return all(purposes.any_covers(covered, purpose) for purpose in asked)


def _named(row: RowMapping) -> dict[str, str]:
    return {"enrolment": row["enrolment_id"], "statement_sha256": row["statement_digest"]}
