"""The person whose voice it is: how they are reached, and how they sign in.

A contact counts once a single-use link to it was used. Whoever administers voices may propose one; while one is
confirmed, only it can agree to another, by a link of its own: nobody on the organisation's side can move a person's
rights to another mailbox. Signing in answers the same for every contact there may be.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, select, update

from consent_service import access
from consent_service.access import NewKey
from consent_service.config import ConsentConfig
from consent_service.core import Core, WriteTransaction
from consent_service.errors import InvalidInput, LinkInvalid, MessageNotSent
from consent_service.ledger.rows import rows_of
from consent_service.ledger.tables import api_keys, subjects
from consent_service.ledger.tables import voices as voices_table
from consent_service.mail import Message, Messenger, NoMessenger, Outbox, SmtpMessenger
from consent_service.models import Claims, ContactState, Role, Session
from consent_service.subjects import links
from consent_service.subjects.links import LinkKind
from consent_service.subjects.messages import ask_to_confirm, sign_in_link

OUTBOX: Final = "outbox"  # in the data directory
SESSION_S: Final = 3600.0
MOST_LINKS: Final = 3  # sign-in links of one person that are out at a time
_KEEP_KEYS_S: Final = 30 * 86_400.0  # how long an ended session's key stays listed
_CONTACT: Final = re.compile(r"[^\s@<>\",;:\\\x00-\x1f\x7f]{1,64}@[^\s@<>\",;:\\\x00-\x1f\x7f]{1,189}")

log = logging.getLogger("vouch.consent")


@dataclass(frozen=True, slots=True)
class Mailing:
    """How messages go out, and where their links lead."""

    messenger: Messenger
    page: str  # URL of the page that a link opens; the token follows in its fragment, which no server sees


def default_messenger(config: ConsentConfig) -> Messenger:
    """By SMTP where it is configured; on a laptop into a folder; else nowhere, and loudly."""
    if config.smtp is not None:
        return SmtpMessenger(config.smtp)
    return Outbox(config.data_dir / OUTBOX) if config.profile == "local" else NoMessenger()


def require_contact(contact: str) -> str:
    """In the form in which contacts are compared. Raises InvalidInput (contact_invalid)."""
    found = contact.strip().casefold()
    if not _CONTACT.fullmatch(found) or not found.isprintable():
        raise InvalidInput("a contact is an e-mail address", code="contact_invalid")
    return found


def confirm_contact(core: Core, post: Mailing, token: str) -> ContactState:
    """Use a link of the kind `confirm` or `change`. Raises LinkInvalid."""
    link = links.verify(core, token, LinkKind.CONFIRM, LinkKind.CHANGE)
    message: Message | None = None
    with core.write_as(link.tenant) as writing:
        row = links.use_up(writing, link)
        subject_id, contact = str(row["subject_id"]), str(row["contact"])
        if link.kind is LinkKind.CHANGE:
            writing.log.append("subject.contact_change_agreed", subject=subject_id)
            message = ask_for_confirmation(core, post, writing, subject_id, contact, row["requested_by"])
        else:
            _settle(writing, subject_id, contact)
    if message is None:
        return ContactState.CONFIRMED
    post.messenger.send(message)
    return ContactState.CONFIRMATION_PENDING


def request_sign_in(core: Core, post: Mailing, tenant: str, contact: str) -> None:
    """Send a link to a contact that somebody confirmed. Says nothing, whether there is one or not."""
    try:
        contact = require_contact(contact)
    except InvalidInput:
        return
    with core.ledger.read() as connection:
        known = _confirmed(connection, tenant, contact)
    if not known:
        return
    messages: list[Message] = []
    with core.write_as(tenant) as writing:
        for subject_id in known:
            if links.live(writing.connection, tenant, subject_id, LinkKind.SIGN_IN, writing.now) < MOST_LINKS:
                links.forget_expired(writing, subject_id)
                token = links.issue(
                    writing, subject_id=subject_id, kind=LinkKind.SIGN_IN, contact=contact, by=""
                )
                names = _voice_names(writing.connection, tenant, subject_id)
                messages.append(sign_in_link(contact, post.page, tenant, token, names, core.config))
                writing.log.append("subject.link_sent", subject=subject_id)
    for message in messages:
        try:
            post.messenger.send(message)
        except MessageNotSent as exc:
            # An error would tell that the contact is known; the operator reads the log.
            log.error("a sign-in link was not sent: %s", exc.message)  # noqa: TRY400 - the traceback may name it


def sign_in(core: Core, token: str) -> Session:
    """Use a sign-in link up for a key of this one person, for an hour. Raises LinkInvalid."""
    link = links.verify(core, token, LinkKind.SIGN_IN)
    key = NewKey.mint()
    with core.write_as(link.tenant) as writing:
        row = links.use_up(writing, link)
        if str(row["subject_id"]) not in _confirmed(writing.connection, writing.tenant, row["contact"]):
            raise LinkInvalid("this link was sent to a contact that no longer counts; ask for a new one")
        expires_at = writing.now + SESSION_S
        _forget_old_keys(writing, str(row["subject_id"]))
        access.insert_key(
            writing.connection,
            key,
            tenant=writing.tenant,
            grantee="",
            roles=[Role.SUBJECT],
            claims=Claims(),
            label="session",
            now=writing.now,
            expires_at=expires_at,
            subject_id=row["subject_id"],
        )
        writing.log.append("subject.signed_in", subject=row["subject_id"], key=key.key_id)
    return Session(key.token, str(row["subject_id"]), expires_at)


def ask_for_confirmation(
    core: Core, post: Mailing, writing: WriteTransaction, subject_id: str, contact: str, by: str
) -> Message:
    """The message with the link that makes a contact count."""
    token = links.issue(writing, subject_id=subject_id, kind=LinkKind.CONFIRM, contact=contact, by=by)
    return ask_to_confirm(contact, post.page, writing.tenant, token, core.config)


def _settle(writing: WriteTransaction, subject_id: str, contact: str) -> None:
    """The contact counts from now on; links and sessions of an earlier one don't."""
    where_row = rows_of(subjects, writing.tenant, subject_id=subject_id)
    links.withdraw(writing, subject_id, LinkKind.CHANGE, LinkKind.SIGN_IN)
    sessions = rows_of(api_keys, writing.tenant, subject_id=subject_id)
    live = api_keys.c.revoked_at.is_(None)
    writing.connection.execute(update(api_keys).where(sessions, live).values(revoked_at=writing.now))
    values = {"contact": contact, "contact_confirmed_at": writing.now}
    writing.connection.execute(update(subjects).where(where_row).values(**values))
    writing.log.append("subject.contact_confirmed", subject=subject_id)


def _confirmed(connection: Connection, tenant: str, contact: str) -> Sequence[str]:
    """A person has a number for each voice they lent; one mailbox may be behind several."""
    query = select(subjects.c.subject_id).where(
        subjects.c.tenant == tenant,
        subjects.c.contact == contact,
        subjects.c.contact_confirmed_at.is_not(None),
    )
    return list(connection.execute(query.order_by(subjects.c.subject_id)).scalars())


def _voice_names(connection: Connection, tenant: str, subject_id: str) -> list[str]:
    where_row = rows_of(voices_table, tenant, subject_id=subject_id)
    return list(connection.execute(select(voices_table.c.name).where(where_row)).scalars())


def _forget_old_keys(writing: WriteTransaction, subject_id: str) -> None:
    where_row = rows_of(api_keys, writing.tenant, subject_id=subject_id)
    old = api_keys.c.expires_at < writing.now - _KEEP_KEYS_S
    writing.connection.execute(delete(api_keys).where(where_row, old))
