"""The gate, as synchronous code in a worker thread sees it: a stamper's signer and a verifier's proof reader.

Never call these from the event loop: they wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from consent_service.proofs.seams import ClipRecord, Standing, WatermarkTag
from serve_app.remote import Remote

T = TypeVar("T")


class GateBridge:
    """Implements `ManifestSigner` and `ProofReader` over a `Remote` gate. Keys stay in the gate."""

    def __init__(self, gate: Remote, loop: asyncio.AbstractEventLoop, certificate_chain: bytes) -> None:
        self._gate = gate
        self._loop = loop
        self._chain = certificate_chain

    @classmethod
    async def connect(cls, gate: Remote) -> GateBridge:
        return cls(gate, asyncio.get_running_loop(), await gate.call("certificate_chain"))

    def certificate_chain(self) -> bytes:
        return self._chain

    def sign_manifest(self, message: bytes) -> bytes:
        signature: bytes = self._wait(self._gate.call("sign_manifest", message))
        return signature

    def standing(
        self, clip_id: str, consent_id: str | None, consent_version: int | None
    ) -> tuple[Standing, float]:
        answer: tuple[Standing, float] = self._wait(
            self._gate.call("standing", clip_id, consent_id, consent_version)
        )
        return answer

    def knows_clip(self, clip_id: str, audio_sha256: str) -> bool | None:
        answer: bool | None = self._wait(self._gate.call("knows_clip", clip_id, audio_sha256))
        return answer

    def marked_clip(self, mark: WatermarkTag) -> ClipRecord | None:
        answer: ClipRecord | None = self._wait(self._gate.call("marked_clip", mark))
        return answer

    def watermark_keys(self) -> dict[int, bytes]:
        return {}  # they stay in the gate

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()
