"""A clip that is sent while it is made: what was sent of it, and how it ended (DESIGN I3, I4).

A signed token goes before its first byte. Whoever sends it does so within `async with clip:`. However that is left, at
the clip's end, cut or by a listener who is gone, a manifest is issued over exactly the bytes that were given to the
network, and the audit entry is closed with them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from types import TracebackType
from typing import Final

import numpy as np

from consent_service.models import Closing
from foundation.redact import type_and_place
from provenance.audio import Samples
from provenance.disclosure import Disclosure
from provenance.formats.delivery import Delivery
from provenance.formats.live import live_encoder
from provenance.labels.aigc import aigc_label
from provenance.labels.http import headers
from provenance.stamp import Stamper
from serve_app.clips.publisher import ClipPublisher
from serve_app.deadline import why_cancelled
from serve_app.metrics import Metrics
from serve_app.voice.worker import StartedSynthesis
from speech.engine import SAMPLE_RATE
from synthesis.outcome import closing_for

log = logging.getLogger("vouch.serve")


class ClipStream:
    """Read once, by `chunks`, within `async with`.

    first, pieces: marked sound, 16 bits, as the voice replica gives it. token: announces `disclosure`.
    """

    def __init__(
        self,
        started: StartedSynthesis,
        first: bytes,
        pieces: AsyncGenerator[bytes],
        delivery: Delivery,
        disclosure: Disclosure,
        token: str,
        *,
        stamper: Stamper,
        publisher: ClipPublisher,
        metrics: Metrics,
    ) -> None:
        self.started: Final = started
        self.delivery: Final = delivery
        self.disclosure_headers: Final = headers(started.grant.clip_id, token=token)
        self._disclosure = disclosure
        self._pieces = pieces
        self._marked = [first]
        self._sent: list[bytes] = []
        self._encoder = live_encoder(delivery, SAMPLE_RATE, aigc_label(disclosure))
        self._stamper = stamper
        self._publisher = publisher
        self._metrics = metrics
        self._is_ended = False

    async def __aenter__(self) -> ClipStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(self.end(exc))

    async def chunks(self) -> AsyncGenerator[bytes]:
        """The encoded clip. Raises RequestRefused where it is cut."""
        if out := self._encoder.feed(_samples(self._marked[0])):
            yield self._count(out)
        async for piece in self._pieces:
            self._marked.append(piece)
            if out := self._encoder.feed(_samples(piece)):
                yield self._count(out)
        if out := self._encoder.flush():
            yield self._count(out)

    def _count(self, out: bytes) -> bytes:
        self._sent.append(out)
        return out

    async def end(self, why: BaseException | None = None) -> None:
        """why: what ended it early; None at its end. What fails here is logged: all that could be sent was sent.
        Leaving `async with` does this."""
        if self._is_ended:
            return
        self._is_ended = True
        closing = closing_of_stream(why)
        try:
            await self._pieces.aclose()  # the replica need not go on
        except Exception as exc:  # noqa: BLE001 - whatever becomes of the replica, what was sent is recorded
            log.warning("a stream's replica could not be told to stop: %s", type_and_place(exc))
        try:
            await self._record(closing)
        except Exception as exc:  # noqa: BLE001 - see above; the entry that stays open is closed by the sweep
            log.error("a stream's end could not be recorded: %s", type_and_place(exc))  # noqa: TRY400

    async def _record(self, closing: Closing) -> None:
        """The manifest over what was sent, stored and registered with it, however the stream ended (I4)."""
        self._metrics.count("vouch_streams_total", outcome=closing.outcome, code=closing.reason or "ok")
        if not self._sent:
            nothing = replace(closing, outcome="failed") if closing.outcome == "completed" else closing
            await self._publisher.close(self.started.grant.grant_id, nothing)
            return
        stamped = await asyncio.to_thread(
            self._stamper.stamp_stream,
            _samples(b"".join(self._marked)),
            SAMPLE_RATE,
            b"".join(self._sent),
            self.delivery.format,
            self._disclosure,
        )
        closing = replace(closing, seconds=stamped.seconds, audio_sha256=stamped.sha256)
        await self._publisher.publish_stream(self.started, stamped, closing)


def _samples(piece: bytes) -> Samples:
    """float32[n], mono, at `SAMPLE_RATE`."""
    return (np.frombuffer(piece, "<i2") / 32_767).astype(np.float32)


def closing_of_stream(why: BaseException | None) -> Closing:
    """How a stream ended that was ended by `why`; None: at its end. A network that takes no more is a listener who is
    gone: nobody is at fault."""
    if why is None:
        return Closing("completed")
    ended_by = asyncio.CancelledError() if isinstance(why, OSError) else why
    return closing_for(ended_by, cancelled=why_cancelled())
