"""How the person whose voice it is is reached."""

from __future__ import annotations

from consent_service.core import Core
from consent_service.models import ContactState, Principal
from consent_service.subjects import contacts


class Subjects:
    """`ConsentService.subjects`. Thread-safe."""

    def __init__(self, core: Core, post: contacts.Post) -> None:
        self._core, self._post = core, post

    def require_contact(self, contact: str) -> str:
        """In the form in which contacts are compared. Raises InvalidInput (contact_invalid)."""
        return contacts.require_contact(contact)

    def propose_contact(self, by: Principal, voice_id: str, contact: str) -> ContactState:
        """Send the link by which a contact (an e-mail address) confirms that it reaches the person. While another
        one is confirmed, the link goes there instead: only they can agree to the change. Needs VOICE_ADMIN. Raises
        InvalidInput (contact_invalid), Conflict (contact_unchanged), MessageNotSent."""
        return contacts.propose_contact(self._core, self._post, by, voice_id, contact)
