"""The `ConsentApi` of a door whose ledger lies behind the gate's handle.

    routes → SealingConsentApi ──handle──► GateConsentApi → ledger        both speak SealedConsentApi

No recording crosses the handle in the clear (DESIGN I6): the ingress seals what comes in to a key of the gate's, and
the gate seals what a reviewer hears to a key of that one request.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol, cast

from consent_service.http.consent_api import Caller, ConsentApi, ConsentCalls, Part
from consent_service.http.local import LocalConsentApi
from consent_service.models import EnrolmentAnswer, Voice
from consent_service.service import ConsentService
from serve_app.deadline import takes_its_time
from serve_app.gate.uploads import ReaderKey, SealedUpload, UploadKeys, seal_to_reader, seal_upload
from serve_app.handles import UNTIL_DONE_S, methods_of, time_limit


class SealedConsentApi(ConsentCalls, Protocol):
    """What crosses the handle: `ConsentCalls` as they are, and recordings sealed."""

    @time_limit(UNTIL_DONE_S)
    async def decommission(self, caller: Caller, voice_id: str, reason: str) -> Voice: ...

    @time_limit(UNTIL_DONE_S)
    async def decommission_own_voice(self, caller: Caller, voice_id: str, reason: str) -> Voice: ...

    @time_limit(UNTIL_DONE_S)
    async def sweep_voices(self, caller: Caller, *, confirm: bool) -> list[Voice]: ...

    @time_limit(UNTIL_DONE_S)
    async def resume_decommissions(self, caller: Caller) -> list[Voice]: ...

    async def upload_key(self, caller: Caller, upload_id: str) -> tuple[bytes, bytes]:
        """(X25519 public key, wrapped private key) for sealing what belongs to an enrolment, a statement or a clip."""
        ...

    @time_limit(UNTIL_DONE_S)
    async def complete_sealed_enrolment(
        self, caller: Caller, enrolment_id: str, uploads: dict[str, SealedUpload], *, transcript: str, note: str
    ) -> Voice: ...  # fmt: skip

    @time_limit(UNTIL_DONE_S)
    async def complete_sealed_statement(
        self, caller: Caller, statement_id: str, upload: SealedUpload, note: str
    ) -> bool: ...

    @time_limit(UNTIL_DONE_S)
    async def keep_sealed_design(
        self, caller: Caller, upload: SealedUpload, *, name: str, language: str, transcript: str, clip_id: str
    ) -> Voice: ...

    async def open_statement_to(
        self, caller: Caller, voice_id: str, part: Part, public_key: bytes
    ) -> bytes: ...


class GateConsentApi(LocalConsentApi):
    """Implements `SealedConsentApi`. Runs in the gate, where the ledger and its keys are."""

    def __init__(self, service: ConsentService) -> None:
        super().__init__(service)
        self._upload_keys = UploadKeys(service.keys)

    async def upload_key(self, caller: Caller, upload_id: str) -> tuple[bytes, bytes]:
        return await self._as(caller, lambda _: self._upload_keys.new(upload_id))

    async def complete_sealed_enrolment(
        self, caller: Caller, enrolment_id: str, uploads: dict[str, SealedUpload], *, transcript: str, note: str
    ) -> Voice:  # fmt: skip
        parts = {
            part: await self._open(enrolment_id, part, uploads[part]) for part in ("reference", "statement")
        }
        answer = EnrolmentAnswer(parts["reference"], transcript, parts["statement"], note)
        return await self.complete_enrolment(caller, enrolment_id, answer)

    async def complete_sealed_statement(
        self, caller: Caller, statement_id: str, upload: SealedUpload, note: str
    ) -> bool:
        statement = await self._open(statement_id, "statement", upload)
        return await self.complete_statement(caller, statement_id, statement, note)

    async def keep_sealed_design(
        self, caller: Caller, upload: SealedUpload, *, name: str, language: str, transcript: str, clip_id: str
    ) -> Voice:
        reference = await self._open(clip_id, "reference", upload)
        return await self.keep_designed_voice(
            caller, name=name, language=language, reference=reference, transcript=transcript, clip_id=clip_id
        )

    async def open_statement_to(self, caller: Caller, voice_id: str, part: Part, public_key: bytes) -> bytes:
        wav = await self.open_statement(caller, voice_id, part)
        return await self._run(seal_to_reader, public_key, voice_id, part, wav)

    async def _open(self, upload_id: str, part: str, upload: SealedUpload) -> bytes:
        return await self._run(self._upload_keys.open, upload_id, part, upload)


class SealingConsentApi:
    """Runs in the ingress: the calls of `SealedConsentApi` as they are, and recordings sealed on their way."""

    def __init__(self, consents: SealedConsentApi) -> None:
        self._consents: Final = consents

    def __getattr__(self, name: str) -> Any:
        if name not in _AS_THEY_ARE:
            raise AttributeError(name)
        if name in _UNTIL_DONE:
            takes_its_time()
        return getattr(self._consents, name)

    async def complete_enrolment(self, caller: Caller, enrolment_id: str, answer: EnrolmentAnswer) -> Voice:
        takes_its_time()
        recordings = {"reference": answer.reference, "statement": answer.statement}
        uploads = await self._seal(caller, enrolment_id, recordings)
        return await self._consents.complete_sealed_enrolment(
            caller, enrolment_id, uploads, transcript=answer.transcript, note=answer.note
        )

    async def complete_statement(
        self, caller: Caller, statement_id: str, statement: bytes, note: str
    ) -> bool:
        takes_its_time()
        uploads = await self._seal(caller, statement_id, {"statement": statement})
        return await self._consents.complete_sealed_statement(
            caller, statement_id, uploads["statement"], note
        )

    async def keep_designed_voice(
        self, caller: Caller, *, name: str, language: str, reference: bytes, transcript: str, clip_id: str
    ) -> Voice:
        takes_its_time()
        # It should be a clip of ours; until the gate has looked, it may be anybody's recording.
        uploads = await self._seal(caller, clip_id, {"reference": reference})
        return await self._consents.keep_sealed_design(
            caller, uploads["reference"], name=name, language=language, transcript=transcript, clip_id=clip_id
        )

    async def open_statement(self, caller: Caller, voice_id: str, part: Part) -> bytes:
        key = ReaderKey(voice_id, part)
        sealed = await self._consents.open_statement_to(caller, voice_id, part, key.public_bytes)
        return await asyncio.to_thread(key.open, sealed)

    async def _seal(
        self, caller: Caller, upload_id: str, recordings: dict[str, bytes]
    ) -> dict[str, SealedUpload]:
        public_key, wrapped = await self._consents.upload_key(caller, upload_id)

        def seal() -> dict[str, SealedUpload]:
            return {
                part: seal_upload(public_key, wrapped, upload_id, part, audio)
                for part, audio in recordings.items()
            }

        return await asyncio.to_thread(seal)


_AS_THEY_ARE: Final = frozenset(method.name for method in methods_of(ConsentCalls))
_UNTIL_DONE: Final = frozenset(
    method.name for method in methods_of(SealedConsentApi) if method.time_limit_s == UNTIL_DONE_S
)


def consent_api(consents: SealedConsentApi) -> ConsentApi:
    """What the routes stand on, over the gate."""
    return cast(ConsentApi, SealingConsentApi(consents))
