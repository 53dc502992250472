"""What becomes of a clip that was made: stored unseen, registered, closed in the log, and only then to be found.

Nothing is decided here. What is stored is encrypted under a key that the gate alone can unwrap.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from consent_service.grants import Grant
from consent_service.models import Closing
from consent_service.proofs.records import ClipRecord, Standing
from foundation.redact import type_and_place
from provenance.stamp import StampedClip
from serve_app.clips.store import ClipHeader, ClipStore, StagedClip
from serve_app.errors import RequestRefused
from serve_app.gate.protocol import Gate
from serve_app.voice.worker import StartedSynthesis
from synthesis.disclosure import record_for
from synthesis.outcome import closing_for

log = logging.getLogger("vouch.serve")


@dataclass(frozen=True, slots=True)
class Rendition:
    """How a file differs from its clip: an id of its own, and other bytes (SHA-256, hex)."""

    clip_id: str
    audio_sha256: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """A clip as it is kept. manifest: None where the file carries its own."""

    audio: bytes = field(repr=False)
    manifest: bytes | None = field(repr=False)
    media_type: str
    record: ClipRecord = field(repr=False)
    rendition: Rendition | None = None  # of the clip in another form

    @property
    def clip_id(self) -> str:
        """What the file calls itself."""
        return self.record.clip_id if self.rendition is None else self.rendition.clip_id

    @property
    def audio_sha256(self) -> str:
        return self.record.audio_sha256 if self.rendition is None else self.rendition.audio_sha256


class ClipPublisher:
    """Of one ingress replica."""

    def __init__(self, gate: Gate, store: ClipStore, clock: Callable[[], float]) -> None:
        self._gate = gate
        self._store = store
        self._clock = clock

    async def publish(self, started: StartedSynthesis, stamped: StampedClip, cache_key: str) -> None:
        """A whole clip, under the key that answers the same request again. Raises RequestRefused; then nothing of it
        stays."""
        grant = started.grant

        async def hand_over(record: ClipRecord) -> None:
            await self._gate.hand_over(
                grant.grant_id, record, replica_id=started.replica_id, proof=started.proof
            )

        staged = await self._store_and_register(started, stamped, cache_key, hand_over)
        # Storing took time (I5), and a deletion that ran meanwhile has not seen what was published after it.
        if not (await self._standing(grant)).may_leave:
            await self.take_back(staged)
            raise RequestRefused("consent_revoked", "the consent was withdrawn or has expired")

    async def publish_stream(self, started: StartedSynthesis, stamped: StampedClip, closing: Closing) -> None:
        """What was sent of a stream, whatever became of its consent: it is in the world, and is recognised by this.
        Under a key of its own: it is found by its id, and never served as the answer to another request."""
        grant = started.grant

        async def end_stream(record: ClipRecord) -> None:
            await self._gate.end_stream(
                grant.grant_id, record, closing, replica_id=started.replica_id, proof=started.proof
            )

        staged = await self._store_and_register(started, stamped, f"live-{grant.clip_id}", end_stream)
        if await self._standing(grant) is Standing.DECOMMISSIONED:
            await self.take_back(staged)

    async def _store_and_register(
        self,
        started: StartedSynthesis,
        stamped: StampedClip,
        cache_key: str,
        register: Callable[[ClipRecord], Awaitable[None]],
    ) -> StagedClip:
        """Store unseen, register and close, and only then let the store be read: a clip in the cache is registered."""
        grant = started.grant
        staged: StagedClip | None = None
        try:
            data_key, wrapped = await self._gate.new_clip_key(grant.tenant, grant.clip_id)
            header = _header(grant, stamped, cache_key, wrapped)
            staged = await asyncio.to_thread(
                self._store.stage, header, stamped.data, data_key, stamped.manifest
            )
            await register(record_for(started.redeemed, stamped, (staged.uri,), self._clock()))
        except Exception as exc:
            if staged is not None:
                with contextlib.suppress(Exception):  # nobody finds it, and the log must hear of the failure
                    await asyncio.to_thread(self._store.discard, staged)
            await self.close(grant.grant_id, closing_for(exc))
            raise
        try:
            await asyncio.to_thread(self._store.publish, staged)
        except Exception as exc:  # noqa: BLE001 - the clip is marked, registered and closed; only the cache lacks it
            log.warning("a clip could not be kept: %s", type_and_place(exc))
        return staged

    async def take_back(self, staged: StagedClip) -> None:
        """What was published must not stay: every copy goes."""
        await asyncio.to_thread(self._store.take_back, staged)

    async def copy_of(self, record: ClipRecord, audio_sha256: str = "") -> Fetched:
        """The clip as it left; or, by its digest, in another form. Raises RequestRefused not_found."""
        wanted = audio_sha256 or record.audio_sha256
        for uri in record.objects:
            stored = await asyncio.to_thread(self._store.at, uri, record.clip_id, wanted)
            if stored is None:
                continue
            header = stored.header
            data_key = await self._gate.clip_key(record.tenant, record.clip_id, header.wrapped)
            opened = await asyncio.to_thread(stored.open, data_key)
            return Fetched(opened.audio, opened.manifest, header.media_type, record)
        raise RequestRefused("not_found", "the clip is registered, but this service holds no copy of it")

    async def close(self, grant_id: str, closing: Closing) -> None:
        """Tell the log that nothing came of a grant. What went wrong first is what the caller hears of."""
        try:
            await self._gate.close_clip(grant_id, closing)
        except RequestRefused as exc:
            if exc.code != "grant_unknown":  # it was never redeemed, so nothing is open
                log.warning("audit entry of a failed synthesis stays open: %s", exc.code)

    async def _standing(self, grant: Grant) -> Standing:
        standing, _ = await self._gate.standing(grant.clip_id, grant.consent_id, grant.consent_version)
        return standing


def _header(grant: Grant, stamped: StampedClip, cache_key: str, wrapped: bytes) -> ClipHeader:
    return ClipHeader(
        clip_id=grant.clip_id,
        tenant=grant.tenant,
        cache_key=cache_key,
        media_type=stamped.media_type,
        seconds=stamped.seconds,
        audio_sha256=stamped.sha256,
        wrapped_key=base64.b64encode(wrapped).decode(),
        manifest_bytes=len(stamped.manifest or b""),
    )
