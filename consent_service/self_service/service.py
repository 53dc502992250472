"""What the person whose voice it is can do: confirm a contact, sign in by a link, see and end what is theirs.

Nobody hands this right out: a link that reached their contact makes a session, whose key reaches what is theirs alone.
The person's number comes from the ledger's row of the key, never from the caller. What belongs to somebody else is not
there: the same NotFound as for what never was.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    literal,
    or_,
    select,
    update,
)

from consent_service.access import Permission
from consent_service.consents import records
from consent_service.core import Core, ReadTransaction
from consent_service.deletion import decommission as deletion
from consent_service.errors import InvalidInput, NotFound, PermissionDenied
from consent_service.ledger.rows import from_row, rows_of
from consent_service.ledger.tables import api_keys, clips, log_entries, redemptions
from consent_service.ledger.tables import consents as consents_table
from consent_service.ledger.tables import voices as voices_table
from consent_service.models import Consent, ContactState, Principal, Revocation, Session, Use, Uses, Voice
from consent_service.policy.limits import Limits
from consent_service.subjects import contacts
from consent_service.voices import records as voices

MOST_USES: Final = 500  # of one page
_Position = tuple[int, str] | None  # leaf, and what tells apart those of one leaf
_CURSOR: Final = re.compile(r"([0-9]{1,15})-([0-9a-zA-Z_]{1,80})")


class SelfService:
    """`ConsentService.self_service`. Thread-safe; stays in its process."""

    def __init__(self, core: Core, limits: Limits, post: contacts.Mailing) -> None:
        self._core, self._limits, self._post = core, limits, post

    def confirm_contact(self, token: str, *, source: str | None = None) -> ContactState:
        """Use such a link up. Raises LinkInvalid, or RateLimited after too many failures."""
        with self._limits.failures_of(token, source):
            return contacts.confirm_contact(self._core, self._post, token)

    def request_sign_in(self, tenant: str, contact: str, *, source: str | None = None) -> None:
        """Send a sign-in link to a confirmed contact. The same answer for every contact there may be, though not in
        the same time: a door calls the two halves, and answers in between. Raises RateLimited."""
        self.limit_messages(source)
        self.send_sign_in_link(tenant, contact)

    def limit_messages(self, source: str | None) -> None:
        """The first half of `request_sign_in`, before a door answers. Raises RateLimited."""
        self._limits.message(source)

    def send_sign_in_link(self, tenant: str, contact: str) -> None:
        """The second half, after it answered."""
        contacts.request_sign_in(self._core, self._post, tenant, contact)

    def sign_in(self, token: str, *, source: str | None = None) -> Session:
        """Use a sign-in link up for an hour's key with the role SUBJECT. Raises LinkInvalid, RateLimited."""
        with self._limits.failures_of(token, source):
            return contacts.sign_in(self._core, token)

    def sign_out(self, by: Principal) -> None:
        """End the caller's session; what follows needs SUBJECT too."""
        with self._core.write(by, Permission.OWN_READ) as writing:
            where_row = rows_of(api_keys, writing.tenant, key_id=by.key_id)
            writing.connection.execute(update(api_keys).where(where_row).values(revoked_at=writing.now))
            writing.log.append("subject.signed_out", key=by.key_id)

    def own_voices(self, by: Principal) -> list[Voice]:
        """The voices of the person who signed in."""
        with self._core.read(by, Permission.OWN_READ) as reading:
            own = _own(voices_table, reading)
            query = select(voices_table).where(own).order_by(voices_table.c.created_at)
            return [voices.to_voice(row) for row in reading.connection.execute(query).mappings()]

    def own_consents(self, by: Principal) -> list[Consent]:
        """Every consent for them, those that ended too."""
        with self._core.read(by, Permission.OWN_READ) as reading:
            own = _own(consents_table, reading)
            query = select(consents_table).where(own).order_by(consents_table.c.recorded_at)
            return [records.to_consent(row) for row in reading.connection.execute(query).mappings()]

    def own_uses(self, by: Principal, *, after: str = "", limit: int = 100) -> Uses:
        """Every time one of them spoke, latest first; `after` is the `next` of the page before. Raises
        InvalidInput (cursor_invalid)."""
        limit, start = max(1, min(limit, MOST_USES)), _position(after)
        with self._core.read(by, Permission.OWN_READ) as reading:
            voice_ids = select(voices_table.c.voice_id).where(_own(voices_table, reading))
            mine = list(reading.connection.execute(voice_ids).scalars())
            queries = _made(reading.tenant, mine, start), _handed_out_again(reading.tenant, mine, start)
            found = [row for each in queries for row in reading.connection.execute(each.limit(limit + 1))]
            found.sort(key=lambda row: (row.leaf, row.mark), reverse=True)
            page = found[:limit]
            entries = _entries(reading.connection, reading.tenant, [row.leaf for row in page])
        last = page[-1] if len(found) > limit else None
        return Uses(
            tuple(_use(row, entries.get(row.leaf, {})) for row in page),
            "" if last is None else f"{last.leaf}-{last.mark}",
        )

    def own_receipt(self, by: Principal, consent_id: str) -> str:
        """The signed receipt of one of them. NotFound for anybody else's."""
        with self._core.read(by, Permission.OWN_READ) as reading:
            row = records.find(reading.connection, reading.tenant, consent_id)
            if row["subject_id"] != _person(reading):
                raise NotFound("no such consent", code="consent_unknown")
            return str(row["receipt"])

    def revoke_own_consent(self, by: Principal, consent_id: str, reason: str = "withdrawn") -> Revocation:
        """As `consents.revoke`, by the person. NotFound for anybody else's."""
        with self._core.read(by, Permission.OWN_REVOKE) as reading:
            subject_id = _person(reading)
        return records.revoke(self._core, by, consent_id, reason, subject_id=subject_id)

    def decommission_own_voice(self, by: Principal, voice_id: str, reason: str) -> Voice:
        """As `deletion.decommission`, by the person: irreversible, nobody is asked. NotFound for anybody else's."""
        # A voice's person never changes: what was theirs here is theirs in the transactions that follow.
        _require_voice(self._core, by, voice_id, Permission.OWN_DECOMMISSION)
        return deletion.decommission(self._core, by, voice_id, reason, right=Permission.OWN_DECOMMISSION)

    def own_certificate(self, by: Principal, voice_id: str) -> str:
        """The certificate of its deletion; fetch it within the session, for the contact is erased too."""
        _require_voice(self._core, by, voice_id, Permission.OWN_READ)
        return deletion.certificate(self._core, by, voice_id, right=Permission.OWN_READ)


def _person(reading: ReadTransaction) -> str:
    if reading.by.subject_id is None:
        raise PermissionDenied("this key is not that of a person who signed in")
    return reading.by.subject_id


def _require_voice(core: Core, by: Principal, voice_id: str, right: Permission) -> None:
    """Raises NotFound for a voice that is not the caller's."""
    with core.read(by, right) as reading:
        row = voices.find(reading.connection, reading.tenant, voice_id)
        if row["subject_id"] != _person(reading):
            raise NotFound("no such voice", code="voice_unknown")


def _own(table: Table, reading: ReadTransaction) -> ColumnElement[bool]:
    return rows_of(table, reading.tenant, subject_id=_person(reading))


def _made(tenant: str, voice_ids: list[str], start: _Position) -> Select[Any]:
    columns = (
        clips,
        clips.c.created_at.label("at"),
        clips.c.audit_leaf.label("leaf"),
        clips.c.clip_id.label("mark"),
    )
    query = select(*columns, literal(False).label("reused"))
    where_row = (clips.c.tenant == tenant) & clips.c.voice_id.in_(voice_ids)
    return _before(query.where(where_row), clips.c.audit_leaf, clips.c.clip_id, start)


def _handed_out_again(tenant: str, voice_ids: list[str], start: _Position) -> Select[Any]:
    again = redemptions.c
    columns = (clips, again.redeemed_at.label("at"), again.leaf, again.grant_id.label("mark"))
    joined = clips.join(redemptions, and_(again.reused_clip_id == clips.c.clip_id, again.tenant == tenant))
    query = select(*columns, literal(True).label("reused")).select_from(joined)
    where_row = (clips.c.tenant == tenant) & clips.c.voice_id.in_(voice_ids)
    return _before(query.where(where_row), again.leaf, again.grant_id, start)


def _before(query: Select[Any], leaf: Column[int], mark: Column[str], start: _Position) -> Select[Any]:
    if start is not None:
        query = query.where(or_(leaf < start[0], and_(leaf == start[0], mark < start[1])))
    return query.order_by(leaf.desc(), mark.desc())


def _position(cursor: str) -> _Position:
    if not cursor:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidInput("go on from the `next` of the page before", code="cursor_invalid")
    return int(found[1]), found[2]


def _entries(connection: Connection, tenant: str, leaves: list[int]) -> dict[int, dict[str, Any]]:
    query = select(log_entries.c.leaf, log_entries.c.entry)
    rows = connection.execute(query.where(log_entries.c.tenant == tenant, log_entries.c.leaf.in_(leaves)))
    return {row.leaf: json.loads(row.entry) for row in rows}


def _use(row: Row[Any], entry: dict[str, Any]) -> Use:
    characters = entry.get("characters")
    return from_row(Use, row._mapping, characters=characters if isinstance(characters, int) else None)
