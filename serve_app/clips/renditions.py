"""A stored clip in another format, for whoever may have the clip: nothing new is said, so nothing new is decided.

A rendition is one more copy of its clip. Its id is the clip's and the form: `<clip id>-mp3-24000`; by that it is found
again, and whatever is asked of it is asked of the clip: reach, standing, audit, deletion. It is made once, from the
clip as it left, and kept as the clip is kept (docs/adr/0023-a-rendition-is-a-copy-of-its-clip.md).

Making one takes seconds of CPU, and asking takes none: it has a thread of its own, so that stamping and storing never
wait for it, and a short queue, where a making keeps its place until it has really ended, whoever has hung up.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import rfc8785

from consent_service.proofs.records import ClipRecord
from foundation.redact import type_and_place
from provenance.derive import Signed
from provenance.errors import FormatUnsupported, ProvenanceError
from provenance.formats.delivery import Delivery, delivery
from provenance.stamp import Stamper
from provenance.transcode import Original, is_already
from serve_app.clips.cache import SingleFlight
from serve_app.clips.publisher import ClipPublisher, Fetched, Rendition
from serve_app.clips.store import ClipHeader, ClipStore
from serve_app.errors import Refused, RequestRefused
from serve_app.gate.client import gates_own_refusals
from serve_app.gate.protocol import Gate

log = logging.getLogger("vouch.serve")

_ID: Final = re.compile(r"([0-9a-f]{32})-([a-z0-9]{1,8})-([0-9]{4,6})")
_AT_ONCE: Final = 1
_WAITING: Final = 8


def rendition_id(clip_id: str, wanted: Delivery) -> str:
    return f"{clip_id}-{wanted.format.name}-{wanted.sample_rate}"


def clip_and_form(named: str) -> tuple[str, Delivery | None]:
    """The clip that an id leads to, and in which form; None: as it is kept."""
    found = _ID.fullmatch(named)
    if found is None:
        return named, None
    clip_id, form, rate = found.groups()
    with contextlib.suppress(FormatUnsupported):
        wanted = delivery(form, int(rate))
        if rendition_id(clip_id, wanted) == named:
            return clip_id, wanted
    return named, None


class Renditions:
    """Of one ingress replica."""

    def __init__(
        self,
        gate: Gate,
        store: ClipStore,
        publisher: ClipPublisher,
        stamper: Stamper,
        clock: Callable[[], float],
    ) -> None:
        self._gate = gate
        self._store = store
        self._publisher = publisher
        self._stamper = stamper
        self._clock = clock
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="rendition")
        self._makings = SingleFlight[Fetched](finish_alone=True)

    async def fetch(self, api_key: str, clip_id: str, wanted: Delivery, *, hand_out: bool = True) -> Fetched:
        """The clip, in the form that is wanted. Raises RequestRefused, above all where `ClipService.fetch` would."""
        record, standing = await self._gate.clip_for(api_key, clip_id)
        copy = None
        if record.state == "live" and standing.may_leave:
            copy = await self._kept(record, wanted)
            if copy is None:
                copy = await self._made_once(record, wanted)
        # Last, as in `ClipService.fetch`: audited before the first byte, nothing slow in between. Refuses what fell.
        digest = "" if copy is None else copy.audio_sha256
        if hand_out:
            await self._gate.release_clip(api_key, clip_id, digest)
        if copy is None:
            raise RequestRefused("consent_revoked", "the consent behind this clip no longer stands")
        return copy

    async def manifest(self, api_key: str, clip_id: str, wanted: Delivery) -> Fetched:
        """As `ClipService.manifest`: as long as it is kept, whatever became of the consent."""
        record, _ = await self._gate.clip_for(api_key, clip_id)
        kept = await self._kept(record, wanted)
        if kept is not None:
            return kept
        clip = await self._publisher.copy_of(record)
        if not await asyncio.to_thread(is_already, _original(clip), wanted):
            raise RequestRefused("not_found", "nobody has fetched this clip in this form; fetch it first")
        return clip

    async def _kept(self, record: ClipRecord, wanted: Delivery) -> Fetched | None:
        stored = await asyncio.to_thread(self._store.find, record.tenant, _key(record, wanted))
        if stored is None:
            return None
        header = stored.header
        data_key = await self._gate.clip_key(record.tenant, record.clip_id, header.wrapped)
        opened = await asyncio.to_thread(stored.open, data_key)
        told = Rendition(rendition_id(record.clip_id, wanted), header.audio_sha256)
        return Fetched(opened.audio, opened.manifest, header.media_type, record, told)

    async def _made_once(self, record: ClipRecord, wanted: Delivery) -> Fetched:
        """One making for all who want it, and it is ended for nobody who leaves: whoever asks again joins it. Raises
        RequestRefused overloaded."""
        key = _key(record, wanted)
        if len(self._makings) >= _AT_ONCE + _WAITING and not self._makings.has(key):
            raise RequestRefused(
                "overloaded", "too many clips are being made in another form; try again shortly"
            )
        return await self._makings.run(key, lambda: self._make(record, wanted))

    async def _make(self, record: ClipRecord, wanted: Delivery) -> Fetched:
        try:
            return await self._find_or_make(record, wanted)
        except Exception as exc:
            log.info("a clip was not made in another form: %s", type_and_place(exc))
            raise

    async def _find_or_make(self, record: ClipRecord, wanted: Delivery) -> Fetched:
        # Another making may have ended between the first look and this one's start.
        kept = await self._kept(record, wanted)
        if kept is not None:
            return kept
        clip = await self._publisher.copy_of(record)
        named = rendition_id(record.clip_id, wanted)
        try:
            if await asyncio.to_thread(is_already, _original(clip), wanted):
                return clip  # without waiting for those that are being made
            with gates_own_refusals():
                made = await asyncio.get_running_loop().run_in_executor(
                    self._threads, self._stamper.transcode, _original(clip), wanted, named, self._clock()
                )
        except ProvenanceError as exc:
            raise Refused.of(exc).as_error() from None
        if made is None:
            return clip
        digest = await asyncio.to_thread(lambda: hashlib.sha256(made.data).hexdigest())
        kept = await self._keep(record, wanted, made, digest)
        if kept is not None:
            return kept
        told = Rendition(named, digest)
        return Fetched(made.data, made.manifest, wanted.format.media_type, record, told)

    async def _keep(self, record: ClipRecord, wanted: Delivery, made: Signed, digest: str) -> Fetched | None:
        """Stored unseen, named in the clip's record, and only then to be found: deletion knows of every copy.
        Another's, where this one could not be kept and that one is."""
        data_key, wrapped = await self._gate.new_clip_key(record.tenant, record.clip_id)
        header = ClipHeader(
            clip_id=record.clip_id,
            tenant=record.tenant,
            cache_key=_key(record, wanted),
            media_type=wanted.format.media_type,
            seconds=record.seconds,
            audio_sha256=digest,
            wrapped_key=base64.b64encode(wrapped).decode(),
            manifest_bytes=len(made.manifest or b""),
        )
        staged = await asyncio.to_thread(self._store.stage, header, made.data, data_key, made.manifest)
        try:
            await self._gate.add_copy(record, staged.uri)
        except BaseException:
            with contextlib.suppress(Exception):
                await asyncio.to_thread(self._store.discard, staged)
            raise
        failed: Exception | None = None
        try:
            await asyncio.to_thread(self._store.publish, staged)
        except Exception as exc:  # noqa: BLE001 - a deletion may have taken it away: then that is what is said
            failed = exc
            with contextlib.suppress(Exception):
                await asyncio.to_thread(self._store.discard, staged)
        # A deletion that ran meanwhile has not seen what was published after it.
        try:
            standing, _ = await self._gate.standing(record.clip_id, record.consent_id, record.consent_version)
        except BaseException:  # then nobody knows whether one ran, and the next may be long in coming
            with contextlib.suppress(Exception):
                await self._publisher.take_back(staged)
            raise
        if not standing.may_leave:
            await self._publisher.take_back(staged)
            raise RequestRefused("consent_revoked", "the consent was withdrawn or has expired")
        if failed is None:
            return None
        kept = await self._kept(record, wanted)
        if kept is None:  # its manifest would be nowhere to be found
            log.warning("a rendition could not be kept: %s", type_and_place(failed))
            raise RequestRefused("storage_unavailable", "the clip could not be kept in this form; try again")
        return kept


def _original(clip: Fetched) -> Original:
    return Original(Signed(clip.audio, clip.manifest), clip.media_type, clip.record.seconds)


def _key(record: ClipRecord, wanted: Delivery) -> str:
    """Where it lies: SHA-256, hex, over the very clip that it is made from."""
    body = {
        "rendition_of": record.clip_id, "tenant": record.tenant, "audio": record.audio_sha256,
        "delivery": wanted.key, "v": "1",
    }  # fmt: skip
    return hashlib.sha256(rfc8785.dumps(body)).hexdigest()
