"""The gate, as synchronous code in a worker thread sees it: a stamper's signer and a verifier's proof reader.

Never call these from the event loop: they wait for it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from consent_service.proofs.records import ClipRecord, Standing, WatermarkTag
from consent_service.vault.sealing import ReplicaKey, watermark_info
from provenance.errors import StampFailed
from serve_app.errors import RequestRefused
from serve_app.gate.protocol import Gate

T = TypeVar("T")


@contextmanager
def gates_own_refusals() -> Iterator[None]:
    """Around a stamper that signs over a `BlockingGateClient`: a gate that is lost while it signs is a lost gate, and
    worth another try, which a clip that can't be marked is not.
    """
    try:
        yield
    except StampFailed as exc:
        if isinstance(exc.__cause__, RequestRefused):
            raise exc.__cause__ from None
        raise


class BlockingGateClient:
    """Implements `ManifestSigner` and `ProofReader` over a `Gate`. Signing keys stay in the gate; those of the
    keyed watermark come sealed to this process, which proved that it is one of ours, and stay in its memory."""

    def __init__(self, gate: Gate, loop: asyncio.AbstractEventLoop, key: ReplicaKey) -> None:
        self._gate = gate
        self._loop = loop
        self._key = key

    @classmethod
    async def connect(cls, gate: Gate, node_secret: bytes) -> BlockingGateClient:
        key = ReplicaKey(f"verifier-{secrets.token_hex(8)}")
        await gate.register_replica(key.replica_id, key.public_bytes, key.proof(node_secret))
        return cls(gate, asyncio.get_running_loop(), key)

    def certificate_chain(self) -> bytes:
        # Not kept: the leaf may be renewed while we run, and a chain that is not the signer's marks nothing.
        return self._wait(self._gate.certificate_chain())

    def sign_manifest(self, message: bytes, chain: bytes | None = None) -> bytes:
        return self._wait(self._gate.sign_manifest(message, chain))

    def standing(
        self, clip_id: str, consent_id: str | None, consent_version: int | None
    ) -> tuple[Standing, float]:
        return self._wait(self._gate.standing(clip_id, consent_id, consent_version))

    def knows_clip(self, clip_id: str, audio_sha256: str) -> bool | None:
        return self._wait(self._gate.knows_clip(clip_id, audio_sha256))

    def logged_at(self, clip_id: str, audio_sha256: str) -> float | None:
        return self._wait(self._gate.logged_at(clip_id, audio_sha256))

    def marked_clip(self, mark: WatermarkTag) -> ClipRecord | None:
        return self._wait(self._gate.marked_clip(mark))

    def watermark_keys(self) -> dict[int, bytes]:
        reader = self._key.replica_id
        sealed = self._wait(self._gate.watermark_keys(reader))
        return {
            epoch: self._key.open(locked, watermark_info(epoch, reader)) for epoch, locked in sealed.items()
        }

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()
