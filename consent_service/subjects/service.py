"""How the person whose voice it is is reached."""

from __future__ import annotations

from sqlalchemy import RowMapping

from consent_service.access import Permission
from consent_service.core import Core, WriteTransaction
from consent_service.errors import Conflict, NotFound
from consent_service.ledger.rows import find_row
from consent_service.ledger.tables import subjects
from consent_service.mail import Message
from consent_service.models import ContactState, Principal
from consent_service.subjects import contacts, links
from consent_service.subjects.contacts import Mailing
from consent_service.subjects.links import LinkKind
from consent_service.subjects.messages import agree_to_change
from consent_service.voices import records


class Subjects:
    """`ConsentService.subjects`. Thread-safe."""

    def __init__(self, core: Core, post: Mailing) -> None:
        self._core, self._post = core, post

    def require_contact(self, contact: str) -> str:
        """In the form in which contacts are compared. Raises InvalidInput (contact_invalid)."""
        return contacts.require_contact(contact)

    def propose_contact(self, by: Principal, voice_id: str, contact: str) -> ContactState:
        """Send the link by which a contact (an e-mail address) confirms that it reaches the person. While another
        one is confirmed, the link goes there instead: only they can agree to the change. Needs VOICE_ADMIN. Raises
        InvalidInput (contact_invalid), Conflict (contact_unchanged), MessageNotSent."""
        contact = contacts.require_contact(contact)
        with self._core.write(by, Permission.CONTACT_PROPOSE) as writing:
            person = _person_of(writing, voice_id)
            if person["contact_confirmed_at"] is not None and person["contact"] == contact:
                raise Conflict("this contact is confirmed already", code="contact_unchanged")
            message = _propose(self._core, self._post, writing, person, contact, by.key_id)
        self._post.messenger.send(message)
        is_change = person["contact_confirmed_at"] is not None
        return ContactState.CHANGE_PENDING if is_change else ContactState.CONFIRMATION_PENDING


def _propose(
    core: Core, post: Mailing, writing: WriteTransaction, person: RowMapping, contact: str, by: str
) -> Message:
    subject_id, is_change = str(person["subject_id"]), person["contact_confirmed_at"] is not None
    # Only the latest proposal stands; a link of an earlier one must not bring it back.
    links.withdraw(writing, subject_id, LinkKind.CONFIRM, LinkKind.CHANGE)
    writing.log.append("subject.contact_proposed", by=by, subject=subject_id, change=is_change)
    if not is_change:
        return contacts.ask_for_confirmation(core, post, writing, subject_id, contact, by)
    token = links.issue(writing, subject_id=subject_id, kind=LinkKind.CHANGE, contact=contact, by=by)
    return agree_to_change(str(person["contact"]), contact, post.page, writing.tenant, token, core.config)


def _person_of(writing: WriteTransaction, voice_id: str) -> RowMapping:
    voice = records.find(writing.connection, writing.tenant, voice_id)
    if voice["subject_id"] is None:
        raise NotFound("there is no person behind this voice", code="subject_unknown")
    row = find_row(writing.connection, subjects, writing.tenant, subject_id=voice["subject_id"])
    if row is None:
        raise NotFound("nothing is kept of this person any more", code="subject_unknown")
    return row
