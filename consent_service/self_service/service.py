"""What the person whose voice it is can do: confirm a contact, sign in by a link, see and end what is theirs.

Nobody hands this right out: a link that reached their contact makes a session, whose key reaches what is theirs alone.
What belongs to anybody else is not there for them.
"""

from __future__ import annotations

from consent_service.core import Core
from consent_service.models import Consent, ContactState, Principal, Revocation, Session, Uses, Voice
from consent_service.policy.limits import Limits
from consent_service.self_service import queries
from consent_service.subjects import contacts


class SelfService:
    """`ConsentService.self_service`. Thread-safe; stays in its process."""

    def __init__(self, core: Core, limits: Limits, post: contacts.Post) -> None:
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
        contacts.sign_out(self._core, by)

    def own_voices(self, by: Principal) -> list[Voice]:
        """The voices of the person who signed in."""
        return queries.list_voices(self._core, by)

    def own_consents(self, by: Principal) -> list[Consent]:
        """Every consent for them, those that ended too."""
        return queries.list_consents(self._core, by)

    def own_uses(self, by: Principal, *, after: str = "", limit: int = 100) -> Uses:
        """Every time one of them spoke, latest first; `after` is the `next` of the page before."""
        return queries.uses(self._core, by, after, limit)

    def own_receipt(self, by: Principal, consent_id: str) -> str:
        """The signed receipt of one of them. NotFound for anybody else's."""
        return queries.receipt(self._core, by, consent_id)

    def revoke_own_consent(self, by: Principal, consent_id: str, reason: str = "withdrawn") -> Revocation:
        """As `revoke_consent`, by the person. NotFound for anybody else's."""
        return queries.revoke(self._core, by, consent_id, reason)

    def decommission_own_voice(self, by: Principal, voice_id: str, reason: str) -> Voice:
        """As `decommission`, by the person: irreversible, nobody is asked. NotFound for anybody else's."""
        return queries.decommission(self._core, by, voice_id, reason)

    def own_certificate(self, by: Principal, voice_id: str) -> str:
        """The certificate of its deletion; fetch it within the session, for the contact is erased too."""
        return queries.certificate(self._core, by, voice_id)
