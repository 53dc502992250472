"""`ConsentApi` over a ledger that is open in this process.

The service blocks, so its calls run on threads of their own: short ones on several, those that examine recordings on
two, those that delete on two others. Nobody who only looks something up waits for an examiner, and neither does a
voice that is to be silent. A caller who may not is refused before waiting; few wait for an examiner at once, so that
they cannot take up every place that a door has.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Concatenate, Final, ParamSpec, TypeVar

from consent_service.access import SEES_EVERY_VOICE, Permission, require
from consent_service.errors import ExaminationUnavailable
from consent_service.http.consent_api import Caller, Part
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
from consent_service.proofs.records import ClipRecord, KeyPurpose, Standing
from consent_service.service import ConsentService

P = ParamSpec("P")
T = TypeVar("T")

_EXAMINED_AT_ONCE: Final = 18  # recordings that wait or are being looked at
_PUBLIC: Final = (KeyPurpose.GRANT, KeyPurpose.LOG, KeyPurpose.RECEIPT)


class LocalConsentApi:
    """Implements `ConsentApi`. The service stays the caller's to close, after `close`."""

    def __init__(self, service: ConsentService, *, threads: int = 8, slow_threads: int = 2) -> None:
        self._service = service
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="consents")
        self._examinations = ThreadPoolExecutor(slow_threads, thread_name_prefix="consents-examine")
        self._deletions = ThreadPoolExecutor(slow_threads, thread_name_prefix="consents-delete")
        self._room = threading.BoundedSemaphore(_EXAMINED_AT_ONCE)

    def close(self) -> None:
        self._examinations.shutdown(wait=True)
        self._deletions.shutdown(wait=True)
        self._threads.shutdown(wait=True)

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: call(*args, **kwargs))

    async def _as(
        self, caller: Caller, call: Callable[Concatenate[Principal, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`call` in the name of the key's owner."""
        return await self._run(lambda: call(self._principal(caller), *args, **kwargs))

    async def _examined_as(
        self, caller: Caller, call: Callable[Concatenate[Principal, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same for what examines recordings, which takes seconds to minutes. Raises ExaminationUnavailable where
        too many wait already."""
        principal = await self._permitted(caller, Permission.VOICE_ENROL)
        if not self._room.acquire(blocking=False):
            raise ExaminationUnavailable("too many recordings wait for an examiner; try again shortly")
        try:
            examining = self._examinations.submit(lambda: call(principal, *args, **kwargs))
        except BaseException:
            self._room.release()
            raise
        examining.add_done_callback(lambda _: self._room.release())  # whoever has hung up
        return await asyncio.wrap_future(examining)

    async def _deleting_as(
        self, caller: Caller, right: Permission, call: Callable[Concatenate[Principal, P], T],
        *args: P.args, **kwargs: P.kwargs,
    ) -> T:  # fmt: skip
        """The same for what deletes."""
        principal = await self._permitted(caller, right)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._deletions, lambda: call(principal, *args, **kwargs))

    async def _permitted(self, caller: Caller, right: Permission) -> Principal:
        principal = await self.authenticate(caller)
        require(principal, right)
        return principal

    def _principal(self, caller: Caller) -> Principal:
        return self._service.authenticate(caller.api_key, source=caller.source)

    async def authenticate(self, caller: Caller) -> Principal:
        return await self._run(self._principal, caller)

    # keys -------------------------------------------------------------------------------------------------------------
    async def create_key(
        self, caller: Caller, *, grantee: str, roles: Sequence[Role], claims: Claims, label: str,
        expires_at: float | None,
    ) -> str:  # fmt: skip
        return await self._as(
            caller, self._service.tenants.create_key, grantee=grantee, roles=roles, claims=claims,
            label=label, expires_at=expires_at,
        )  # fmt: skip

    async def list_keys(self, caller: Caller) -> list[KeyInfo]:
        return await self._as(caller, self._service.tenants.list_keys)

    async def revoke_key(self, caller: Caller, key_id: str) -> None:
        await self._as(caller, self._service.tenants.revoke_key, key_id)

    async def bind_consent(self, caller: Caller, key_id: str, consent_id: str) -> None:
        await self._as(caller, self._service.tenants.bind_consent, key_id, consent_id)

    # voices -----------------------------------------------------------------------------------------------------------
    async def list_voices(self, caller: Caller) -> list[Voice]:
        return await self._as(caller, self._service.voices.list_all)

    async def show_voice(self, caller: Caller, voice_id: str) -> Voice:
        return await self._as(caller, self._service.voices.get, voice_id)

    async def begin_enrolment(
        self, caller: Caller, *, name: str, language: str, grantee: str, purpose: str, subject_name: str,
        contact: str,
    ) -> Challenge:  # fmt: skip
        return await self._as(
            caller, self._service.voices.begin_enrolment, name=name, language=language, grantee=grantee,
            purpose=purpose, subject_name=subject_name, contact=contact,
        )  # fmt: skip

    async def complete_enrolment(self, caller: Caller, enrolment_id: str, answer: EnrolmentAnswer) -> Voice:
        return await self._examined_as(caller, self._service.voices.complete_enrolment, enrolment_id, answer)

    async def begin_statement(
        self, caller: Caller, voice_id: str, *, grantee: str, purpose: str
    ) -> Challenge:
        return await self._as(
            caller, self._service.voices.begin_statement, voice_id, grantee=grantee, purpose=purpose
        )

    async def complete_statement(
        self, caller: Caller, statement_id: str, statement: bytes, note: str
    ) -> bool:
        return await self._examined_as(
            caller, self._service.voices.complete_statement, statement_id, statement=statement, note=note
        )

    async def keep_designed_voice(
        self, caller: Caller, *, name: str, language: str, reference: bytes, transcript: str, clip_id: str
    ) -> Voice:
        return await self._examined_as(
            caller, self._service.voices.keep_designed, name=name, language=language, reference=reference,
            transcript=transcript, clip_id=clip_id,
        )  # fmt: skip

    async def under_review(self, caller: Caller, voice_id: str) -> UnderReview:
        return await self._as(caller, self._service.voices.under_review, voice_id)

    async def open_statement(self, caller: Caller, voice_id: str, part: Part) -> bytes:
        return await self._as(caller, self._service.voices.open_statement, voice_id, part)

    async def review_voice(self, caller: Caller, voice_id: str, *, approve: bool, note: str) -> Voice:
        return await self._as(caller, self._service.voices.review, voice_id, approve=approve, note=note)

    async def doubts(self, caller: Caller, enrolment_id: str) -> tuple[str, ...]:
        return await self._as(caller, self._service.voices.doubts, enrolment_id)

    async def holdings(self, caller: Caller, voice_id: str) -> VoiceHoldings:
        return await self._as(caller, self._service.deletion.holdings, voice_id)

    async def propose_contact(self, caller: Caller, voice_id: str, contact: str) -> ContactState:
        return await self._as(caller, self._service.subjects.propose_contact, voice_id, contact)

    async def keep_voice_until(self, caller: Caller, voice_id: str, until: float | None) -> Voice:
        return await self._as(caller, self._service.deletion.keep_until, voice_id, until)

    async def decommission(self, caller: Caller, voice_id: str, reason: str) -> Voice:
        return await self._deleting_as(
            caller, Permission.VOICE_DECOMMISSION, self._service.deletion.decommission, voice_id, reason
        )

    async def certificate(self, caller: Caller, voice_id: str) -> str:
        return await self._as(caller, self._service.deletion.certificate, voice_id)

    async def sweep_voices(self, caller: Caller, *, confirm: bool) -> list[Voice]:
        return await self._deleting_as(
            caller, Permission.VOICE_DECOMMISSION, self._service.deletion.sweep_voices, confirm=confirm
        )

    async def resume_decommissions(self, caller: Caller) -> list[Voice]:
        return await self._deleting_as(caller, Permission.VOICE_DECOMMISSION, self._service.deletion.resume)

    # consents ---------------------------------------------------------------------------------------------------------
    async def record_consent(self, caller: Caller, voice_id: str, terms: ConsentTerms) -> RecordedConsent:
        return await self._as(caller, self._service.consents.record, voice_id=voice_id, terms=terms)

    async def list_consents(self, caller: Caller, voice_id: str | None) -> list[Consent]:
        return await self._as(caller, self._service.consents.list_all, voice_id)

    async def show_consent(self, caller: Caller, consent_id: str) -> Consent:
        return await self._as(caller, self._service.consents.get, consent_id)

    async def receipt(self, caller: Caller, consent_id: str) -> str:
        return await self._as(caller, self._service.consents.receipt, consent_id)

    async def narrow_consent(self, caller: Caller, consent_id: str, remains: Narrowing) -> RecordedConsent:
        return await self._as(caller, self._service.consents.narrow, consent_id, **asdict(remains))

    async def clips_lost(self, caller: Caller, consent_id: str, remains: Narrowing) -> int:
        return await self._as(caller, self._service.consents.clips_lost, consent_id, remains)

    async def revoke_consent(self, caller: Caller, consent_id: str, reason: str) -> Revocation:
        return await self._as(caller, self._service.consents.revoke, consent_id, reason)

    # clips and the audit log ------------------------------------------------------------------------------------------
    async def clip_record(self, caller: Caller, clip_id: str) -> tuple[ClipRecord, Standing]:
        def look(by: Principal) -> tuple[ClipRecord, Standing]:
            record = self._service.clips.get(by, clip_id)
            standing, _ = self._service.clips.standing(
                record.clip_id, record.consent_id, record.consent_version
            )
            # A path of a server helps whoever administers, and whoever may only order clips not at all.
            return record if _sees_places(by) else replace(record, objects=()), standing

        return await self._as(caller, look)

    async def checkpoint(self, caller: Caller) -> str:
        return await self._as(caller, self._service.log.checkpoint)

    async def log_entries(self, caller: Caller, start: int, limit: int) -> list[str]:
        return await self._as(caller, self._service.log.entries, start, limit)

    async def inclusion_proof(self, caller: Caller, leaf: int, size: int) -> list[bytes]:
        return await self._as(caller, self._service.log.inclusion_proof, leaf, size)

    async def consistency_proof(self, caller: Caller, first: int, second: int) -> list[bytes]:
        return await self._as(caller, self._service.log.consistency_proof, first, second)

    async def signed_standings(self, caller: Caller) -> str:
        return await self._as(caller, self._service.exports.standings)

    async def trusted_keys(self, caller: Caller) -> str:
        return await self._as(caller, self._service.exports.trusted_keys)

    async def public_keys(self) -> Mapping[str, Mapping[str, bytes]]:
        return await self._run(
            lambda: {purpose.value: self._service.keys.public_keys(purpose) for purpose in _PUBLIC}
        )

    # the person -------------------------------------------------------------------------------------------------------
    async def confirm_contact(self, token: str, source: str | None) -> ContactState:
        return await self._run(self._service.self_service.confirm_contact, token, source=source)

    async def limit_messages(self, source: str | None) -> None:
        await self._run(self._service.self_service.limit_messages, source)

    async def send_sign_in_link(self, tenant: str, contact: str) -> None:
        await self._run(self._service.self_service.send_sign_in_link, tenant, contact)

    async def sign_in(self, token: str, source: str | None) -> Session:
        return await self._run(self._service.self_service.sign_in, token, source=source)

    async def sign_out(self, caller: Caller) -> None:
        await self._as(caller, self._service.self_service.sign_out)

    async def own_voices(self, caller: Caller) -> list[Voice]:
        return await self._as(caller, self._service.self_service.own_voices)

    async def own_consents(self, caller: Caller) -> list[Consent]:
        return await self._as(caller, self._service.self_service.own_consents)

    async def own_uses(self, caller: Caller, *, after: str, limit: int) -> Uses:
        return await self._as(caller, self._service.self_service.own_uses, after=after, limit=limit)

    async def own_receipt(self, caller: Caller, consent_id: str) -> str:
        return await self._as(caller, self._service.self_service.own_receipt, consent_id)

    async def revoke_own_consent(self, caller: Caller, consent_id: str, reason: str) -> Revocation:
        return await self._as(caller, self._service.self_service.revoke_own_consent, consent_id, reason)

    async def decommission_own_voice(self, caller: Caller, voice_id: str, reason: str) -> Voice:
        return await self._deleting_as(
            caller,
            Permission.OWN_DECOMMISSION,
            self._service.self_service.decommission_own_voice,
            voice_id,
            reason,
        )

    async def own_certificate(self, caller: Caller, voice_id: str) -> str:
        return await self._as(caller, self._service.self_service.own_certificate, voice_id)


def _sees_places(by: Principal) -> bool:
    return not SEES_EVERY_VOICE.isdisjoint(by.roles)
