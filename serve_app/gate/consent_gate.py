"""The consent gate: the one part of the online door that opens ledger, vault and keys.

Plain class around `ConsentService`; its blocking calls run on a small thread pool, so that the replica's event
loop stays free for health checks. What callers administer runs beside it, on threads of its own
(`serve_app.gate.consent_api`): decisions and revocations never wait for an examination. Everything here fails closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import ParamSpec, TypeVar

from consent_service.errors import GrantRevoked
from consent_service.models import Allow, Closing, Deny, Redeemed, SpeechClaim
from consent_service.proofs.records import ClipRecord, Standing, WatermarkTag
from consent_service.service import ConsentService
from serve_app.gate.clip_keys import ClipKeys
from serve_app.gate.protocol import Feed
from synthesis.outcome import closing_for

P = ParamSpec("P")
T = TypeVar("T")


class ConsentGate:
    """Implements `Gate`, which says what each method does; errors are those of `consent_service`. One per gate replica;
    all of them share one ledger."""

    def __init__(self, service: ConsentService, *, threads: int = 8) -> None:
        self._service = service
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="ledger")
        self._follower = service.gate.follow_revocations()
        self._clip_keys = ClipKeys(service)

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: call(*args, **kwargs))

    # decision -------------------------------------------------------------------------------------------------
    async def authorize(self, api_key: str, claim: SpeechClaim) -> Allow | Deny:
        def decide() -> Allow | Deny:
            return self._service.gate.authorize(self._service.authenticate(api_key), claim)

        return await self._run(decide)

    async def redeem(self, token: str, replica_id: str) -> Redeemed:
        return await self._run(self._service.gate.redeem, token, replica_id)

    async def redeem_cached(self, token: str, cached_clip_id: str) -> Redeemed:
        return await self._run(self._service.gate.redeem_cached, token, cached_clip_id)

    async def register_replica(self, replica_id: str, public_key: bytes, proof: bytes) -> dict[str, bytes]:
        return await self._run(self._service.gate.register_replica, replica_id, public_key, proof)

    async def close_clip(self, grant_id: str, closing: Closing) -> int:
        return await self._run(self._service.gate.close, grant_id, closing)

    async def hand_over(
        self, grant_id: str, record: ClipRecord, *, replica_id: str, proof: bytes
    ) -> ClipRecord:
        def finish() -> ClipRecord:
            self._service.gate.report_design(grant_id, replica_id, proof, record.audio_sha256)
            self._service.clips.register_clip(record)
            standing, _ = self._service.clips.standing(
                record.clip_id, record.consent_id, record.consent_version
            )
            made = Closing("completed", record.seconds, record.audio_sha256)
            if not standing.may_leave:
                revoked = GrantRevoked("the consent was withdrawn or has expired; nothing was released")
                cut = closing_for(revoked)
                self._service.gate.close(grant_id, replace(made, outcome=cut.outcome, reason=cut.reason))
                raise revoked
            self._service.gate.close(grant_id, made)
            return record

        return await self._run(finish)

    async def end_stream(
        self, grant_id: str, record: ClipRecord, closing: Closing, *, replica_id: str, proof: bytes
    ) -> ClipRecord:
        def finish() -> ClipRecord:
            self._service.gate.report_design(grant_id, replica_id, proof, record.audio_sha256)
            self._service.clips.register_clip(record)
            self._service.gate.close(grant_id, closing)
            return record

        return await self._run(finish)

    async def revocations(self, after: int, wait_s: float) -> Feed:
        if wait_s > 0 and not await self._follower.has_news(after, wait_s):
            return Feed((), after)
        events = await self._run(self._service.gate.revocations, after)
        return Feed(tuple(events), events[-1].seq if events else after)

    async def register_store(self, uri: str) -> None:
        await self._run(self._service.clips.register_store, uri, "cache")

    # clips ----------------------------------------------------------------------------------------------------
    async def new_clip_key(self, tenant: str, clip_id: str) -> tuple[bytes, bytes]:
        return await self._run(self._clip_keys.new, tenant, clip_id)

    async def clip_key(self, tenant: str, clip_id: str, wrapped: bytes) -> bytes:
        return await self._run(self._clip_keys.open, tenant, clip_id, wrapped)

    async def clip_for(self, api_key: str, clip_id: str) -> tuple[ClipRecord, Standing]:
        def look() -> tuple[ClipRecord, Standing]:
            record = self._service.clips.get(self._service.authenticate(api_key), clip_id)
            standing, _ = self._service.clips.standing(
                record.clip_id, record.consent_id, record.consent_version
            )
            return record, standing

        return await self._run(look)

    async def release_clip(self, api_key: str, clip_id: str, audio_sha256: str = "") -> ClipRecord:
        def release() -> ClipRecord:
            return self._service.clips.release(self._service.authenticate(api_key), clip_id, audio_sha256)

        return await self._run(release)

    async def add_copy(self, record: ClipRecord, uri: str) -> None:
        copy = replace(record, objects=(uri,), audio_sha256="", seconds=0.0, fingerprint=b"")
        await self._run(self._service.clips.register_clip, copy)

    async def standing(
        self, clip_id: str, consent_id: str | None, consent_version: int | None
    ) -> tuple[Standing, float]:
        return await self._run(self._service.clips.standing, clip_id, consent_id, consent_version)

    async def knows_clip(self, clip_id: str, audio_sha256: str) -> bool | None:
        return await self._run(self._service.clips.knows_clip, clip_id, audio_sha256)

    async def logged_at(self, clip_id: str, audio_sha256: str) -> float | None:
        return await self._run(self._service.clips.logged_at, clip_id, audio_sha256)

    async def watermark_key(self, replica_id: str, epoch: int) -> bytes:
        return await self._run(self._service.gate.watermark_key, replica_id, epoch)

    async def watermark_keys(self, replica_id: str) -> dict[int, bytes]:
        return await self._run(
            lambda: {
                epoch: self._service.gate.watermark_key(replica_id, epoch)
                for epoch in self._service.clips.watermark_keys()
            }
        )

    async def marked_clip(self, mark: WatermarkTag) -> ClipRecord | None:
        return await self._run(self._service.clips.marked_clip, mark)

    # manifests ------------------------------------------------------------------------------------------------
    async def certificate_chain(self) -> bytes:
        return await self._run(self._service.keys.certificate_chain)

    async def trust_anchor(self) -> bytes:
        return await self._run(self._service.keys.trust_anchor)

    async def sign_manifest(self, message: bytes, chain: bytes | None = None) -> bytes:
        return await self._run(self._service.keys.sign_manifest, message, chain)

    def close(self) -> None:
        self._follower.close()
        self._threads.shutdown(wait=True)
        self._service.close()
