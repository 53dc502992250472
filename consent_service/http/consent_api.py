"""What the routes for voices, consents, audit and the person ask for: one typed protocol, wherever the ledger lies.

`local.LocalConsentApi` answers in this process; a door whose ledger is in another answers through a handle. Every
method that speaks for somebody takes the `Caller` and checks the key itself: a route decides nothing. All raise
ConsentError, or what a handle makes of one: an error with a `code` and a `message`.

Recordings stand apart (`RecordingCalls`): they may reach no handle, log or object store in the clear (DESIGN I6), so an
implementation that goes over a handle seals them first and opens what comes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from consent_service.models import (
    Challenge,
    Claims,
    Consent,
    ConsentTerms,
    ContactState,
    EnrolmentAnswer,
    KeyInfo,
    Narrowing,
    Principal,
    RecordedConsent,
    Revocation,
    Role,
    Session,
    UnderReview,
    Uses,
    Voice,
    VoiceHoldings,
)
from consent_service.proofs.records import ClipRecord, Standing

Part = Literal["statement", "reference"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an API key, or the key of a person's session. `source`: the network address, where it is known."""

    api_key: str = field(repr=False)
    source: str | None = None


class ConsentCalls(Protocol):
    """What may cross a handle as it is: no recording is among it."""

    async def authenticate(self, caller: Caller) -> Principal:
        """Before an upload is read: a caller without a good key costs no body. Raises Unauthenticated, RateLimited."""
        ...

    # keys -------------------------------------------------------------------------------------------------------------
    async def create_key(
        self, caller: Caller, *, grantee: str, roles: Sequence[Role], claims: Claims, label: str,
        expires_at: float | None,
    ) -> str: ...  # fmt: skip

    async def list_keys(self, caller: Caller) -> list[KeyInfo]: ...

    async def revoke_key(self, caller: Caller, key_id: str) -> None: ...

    async def bind_consent(self, caller: Caller, key_id: str, consent_id: str) -> None: ...

    # voices -----------------------------------------------------------------------------------------------------------
    async def list_voices(self, caller: Caller) -> list[Voice]: ...

    async def show_voice(self, caller: Caller, voice_id: str) -> Voice: ...

    async def begin_enrolment(
        self, caller: Caller, *, name: str, language: str, grantee: str, purpose: str, subject_name: str,
        contact: str,
    ) -> Challenge: ...  # fmt: skip

    async def begin_statement(
        self, caller: Caller, voice_id: str, *, grantee: str, purpose: str
    ) -> Challenge: ...

    async def under_review(self, caller: Caller, voice_id: str) -> UnderReview: ...

    async def review_voice(self, caller: Caller, voice_id: str, *, approve: bool, note: str) -> Voice: ...

    async def doubts(self, caller: Caller, enrolment_id: str) -> tuple[str, ...]: ...

    async def holdings(self, caller: Caller, voice_id: str) -> VoiceHoldings: ...

    async def propose_contact(self, caller: Caller, voice_id: str, contact: str) -> ContactState: ...

    async def keep_voice_until(self, caller: Caller, voice_id: str, until: float | None) -> Voice: ...

    async def decommission(self, caller: Caller, voice_id: str, reason: str) -> Voice:
        """Takes as long as deleting takes."""
        ...

    async def certificate(self, caller: Caller, voice_id: str) -> str: ...

    async def sweep_voices(self, caller: Caller, *, confirm: bool) -> list[Voice]:
        """Takes as long as deleting takes."""
        ...

    async def resume_decommissions(self, caller: Caller) -> list[Voice]:
        """Takes as long as deleting takes."""
        ...

    # consents ---------------------------------------------------------------------------------------------------------
    async def record_consent(self, caller: Caller, voice_id: str, terms: ConsentTerms) -> RecordedConsent: ...

    async def list_consents(self, caller: Caller, voice_id: str | None) -> list[Consent]: ...

    async def show_consent(self, caller: Caller, consent_id: str) -> Consent: ...

    async def receipt(self, caller: Caller, consent_id: str) -> str: ...

    async def narrow_consent(
        self, caller: Caller, consent_id: str, remains: Narrowing
    ) -> RecordedConsent: ...

    async def clips_lost(self, caller: Caller, consent_id: str, remains: Narrowing) -> int: ...

    async def revoke_consent(self, caller: Caller, consent_id: str, reason: str) -> Revocation: ...

    # clips and the audit log ------------------------------------------------------------------------------------------
    async def clip_record(self, caller: Caller, clip_id: str) -> tuple[ClipRecord, Standing]:
        """Withdrawn clips too. Where copies lie, only the people see who see every voice."""
        ...

    async def checkpoint(self, caller: Caller) -> str: ...

    async def log_entries(self, caller: Caller, start: int, limit: int) -> list[str]: ...

    async def inclusion_proof(self, caller: Caller, leaf: int, size: int) -> list[bytes]: ...

    async def consistency_proof(self, caller: Caller, first: int, second: int) -> list[bytes]: ...

    async def signed_standings(self, caller: Caller) -> str: ...

    async def trusted_keys(self, caller: Caller) -> str: ...

    async def public_keys(self) -> Mapping[str, Mapping[str, bytes]]:
        """By purpose and key id: what verifies grants, checkpoints and receipts."""
        ...

    # the person -------------------------------------------------------------------------------------------------------
    async def confirm_contact(self, token: str, source: str | None) -> ContactState: ...

    async def limit_messages(self, source: str | None) -> None:
        """Raises RateLimited."""
        ...

    async def send_sign_in_link(self, tenant: str, contact: str) -> None:
        """Says nothing of whether the contact is known. After the answer: its time must not tell either."""
        ...

    async def sign_in(self, token: str, source: str | None) -> Session: ...

    async def sign_out(self, caller: Caller) -> None: ...

    async def own_voices(self, caller: Caller) -> list[Voice]: ...

    async def own_consents(self, caller: Caller) -> list[Consent]: ...

    async def own_uses(self, caller: Caller, *, after: str, limit: int) -> Uses: ...

    async def own_receipt(self, caller: Caller, consent_id: str) -> str: ...

    async def revoke_own_consent(self, caller: Caller, consent_id: str, reason: str) -> Revocation: ...

    async def decommission_own_voice(self, caller: Caller, voice_id: str, reason: str) -> Voice:
        """Takes as long as deleting takes."""
        ...

    async def own_certificate(self, caller: Caller, voice_id: str) -> str: ...


class RecordingCalls(Protocol):
    """What holds a recording, in or out. The first three take as long as an examination takes."""

    async def complete_enrolment(
        self, caller: Caller, enrolment_id: str, answer: EnrolmentAnswer
    ) -> Voice: ...

    async def complete_statement(
        self, caller: Caller, statement_id: str, statement: bytes, note: str
    ) -> bool: ...

    async def keep_designed_voice(
        self, caller: Caller, *, name: str, language: str, reference: bytes, transcript: str, clip_id: str
    ) -> Voice: ...

    async def open_statement(self, caller: Caller, voice_id: str, part: Part) -> bytes:
        """A WAV file."""
        ...


class ConsentApi(ConsentCalls, RecordingCalls, Protocol):
    """All of it."""
