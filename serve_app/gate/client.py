"""The gate, as synchronous code in a worker thread sees it: a stamper's signer and a verifier's proof reader.

Never call these from the event loop: they wait for it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from consent_service.proofs.seams import ClipRecord, Standing, WatermarkTag
from consent_service.vault.sealing import ReplicaKey, watermark_info
from provenance.errors import StampFailed
from serve_app.errors import RequestRefused
from serve_app.remote import Remote

T = TypeVar("T")


@contextmanager
def gates_own_refusals() -> Iterator[None]:
    """Around a stamper that signs over a `GateBridge`: a gate that is lost while it signs is a lost gate, and worth
    another try, which a clip that can't be marked is not.
    """
    try:
        yield
    except StampFailed as exc:
        if isinstance(exc.__cause__, RequestRefused):
            raise exc.__cause__ from None
        raise


class GateBridge:
    """Implements `ManifestSigner` and `ProofReader` over a `Remote` gate. Signing keys stay in the gate; those of the
    keyed watermark come sealed to this process, which proved that it is one of ours, and stay in its memory."""

    def __init__(self, gate: Remote, loop: asyncio.AbstractEventLoop, key: ReplicaKey) -> None:
        self._gate = gate
        self._loop = loop
        self._key = key

    @classmethod
    async def connect(cls, gate: Remote, node_secret: bytes) -> GateBridge:
        key = ReplicaKey(f"verifier-{secrets.token_hex(8)}")
        await gate.call("register_replica", key.replica_id, key.public_bytes, key.proof(node_secret))
        return cls(gate, asyncio.get_running_loop(), key)

    def certificate_chain(self) -> bytes:
        # Not kept: the leaf may be renewed while we run, and a chain that is not the signer's marks nothing.
        chain: bytes = self._wait(self._gate.call("certificate_chain"))
        return chain

    def sign_manifest(self, message: bytes, chain: bytes | None = None) -> bytes:
        signature: bytes = self._wait(self._gate.call("sign_manifest", message, chain))
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

    def logged_at(self, clip_id: str, audio_sha256: str) -> float | None:
        answer: float | None = self._wait(self._gate.call("logged_at", clip_id, audio_sha256))
        return answer

    def marked_clip(self, mark: WatermarkTag) -> ClipRecord | None:
        answer: ClipRecord | None = self._wait(self._gate.call("marked_clip", mark))
        return answer

    def watermark_keys(self) -> dict[int, bytes]:
        reader = self._key.replica_id
        sealed: dict[int, bytes] = self._wait(self._gate.call("watermark_keys", reader))
        return {
            epoch: self._key.open(locked, watermark_info(epoch, reader)) for epoch, locked in sealed.items()
        }

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()
