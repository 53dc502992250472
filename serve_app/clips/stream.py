"""A clip that is heard while it is made: what was sent of it, and how it ended (DESIGN I3, I4).

A signed token goes before its first byte. However it ends, at its end, cut or left by its listener, `end` runs once: a
manifest is issued over exactly the bytes that were given to the network, and the audit entry is closed with them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, Literal, TypeAlias

import numpy as np
from fastapi.responses import StreamingResponse
from starlette.types import Send

from foundation.redact import type_and_place
from provenance.audio import Samples
from provenance.disclosure import Disclosure
from provenance.formats.delivery import Delivery
from provenance.formats.live import live_encoder
from provenance.labels.aigc import aigc_label
from provenance.labels.http import headers
from serve_app.deadline import why_cancelled
from serve_app.voice.worker import Begun
from speech.engine import SAMPLE_RATE

log = logging.getLogger("vouch.serve")

Outcome: TypeAlias = Literal["completed", "cut", "disconnected", "failed"]
Ending: TypeAlias = Callable[["LiveClip", Outcome, str], Awaitable[None]]
_CUT: Final = frozenset({"consent_revoked", "consent_expired", "deadline_exceeded"})


class LiveClip:
    """Read once, by `chunks`; then ended by whoever reads it."""

    def __init__(
        self,
        begun: Begun,
        first: bytes,
        pieces: AsyncGenerator[bytes],
        wanted: Delivery,
        disclosure: Disclosure,
        token: str,
        ending: Ending,
    ) -> None:
        self.begun = begun
        self.wanted = wanted
        self.disclosure = disclosure
        self.disclosure_headers: Final = headers(begun.grant.clip_id, token=token)
        self._pieces = pieces
        self._heard = [first]
        self._sent: list[bytes] = []
        self._encoder = live_encoder(wanted, SAMPLE_RATE, aigc_label(disclosure))
        self._ending = ending
        self._is_ended = False

    @property
    def sent(self) -> bytes:
        """Every byte that was given to the network."""
        return b"".join(self._sent)

    @property
    def samples(self) -> Samples:
        """float32[n], mono, at `SAMPLE_RATE`: the sound that was sent, or is on its way through the encoder."""
        return _samples(b"".join(self._heard))

    async def chunks(self) -> AsyncGenerator[bytes]:
        """The encoded clip. Raises RequestRefused where it is cut; call `end` with that."""
        if out := self._encoder.feed(_samples(self._heard[0])):
            yield self._count(out)
        async for piece in self._pieces:
            self._heard.append(piece)
            if out := self._encoder.feed(_samples(piece)):
                yield self._count(out)
        if out := self._encoder.flush():
            yield self._count(out)

    def _count(self, out: bytes) -> bytes:
        self._sent.append(out)
        return out

    async def end(self, why: BaseException | None = None) -> None:
        """why: what ended it early; None at its end. What fails here is logged: the listener has heard it all."""
        if self._is_ended:
            return
        self._is_ended = True
        outcome, code = ended(why)
        try:
            await self._pieces.aclose()  # the replica need not go on
        except Exception as exc:  # noqa: BLE001 - whatever becomes of the replica, what was sent is recorded
            log.warning("a stream's replica could not be told to stop: %s", type_and_place(exc))
        try:
            await self._ending(self, outcome, code)
        except Exception as exc:  # noqa: BLE001 - see above; the entry that stays open is closed by the sweep
            log.error("a stream's end could not be recorded: %s", type_and_place(exc))  # noqa: TRY400


class LiveResponse(StreamingResponse):
    """The HTTP answer. Its last byte leaves when the manifest is there to be fetched."""

    def __init__(self, clip: LiveClip) -> None:
        super().__init__(
            clip.chunks(),
            media_type=clip.wanted.format.media_type,
            headers={**clip.disclosure_headers, "X-Cache": "miss"},
        )
        self._clip = clip

    async def stream_response(self, send: Send) -> None:
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            async for chunk in self.body_iterator:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except BaseException as exc:
            await asyncio.shield(self._clip.end(exc))
            raise
        await asyncio.shield(self._clip.end())
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _samples(piece: bytes) -> Samples:
    return (np.frombuffer(piece, "<i2") / 32_767).astype(np.float32)


def ended(why: BaseException | None) -> tuple[Outcome, str]:
    """What is written of a stream that ended early, or of one at its end: outcome, and the code that says why."""
    if why is None:
        return "completed", ""
    # Cancelled, or a network that takes no more: nobody is at fault for either.
    is_fault = isinstance(why, Exception) and not isinstance(why, OSError)
    code = getattr(why, "code", "internal_error") if is_fault else why_cancelled()
    if code == "disconnected":
        return "disconnected", code
    return ("cut" if code in _CUT else "failed"), code
