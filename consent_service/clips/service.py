"""The register of clips, and what a verifier may ask of it."""

from __future__ import annotations

from typing import Literal

from consent_service.clips import closings, data_keys, register, stores, watermarks
from consent_service.core import Core
from consent_service.models import Principal
from consent_service.proofs.seams import ClipRecord, Standing, WatermarkTag


class Clips:
    """`ConsentService.clips`: a `ClipRegister` and a `ProofReader`. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def register_clip(self, record: ClipRecord) -> None:
        """Add digest, length and copies to the record that `redeem` made. NotFound (clip_unknown) without
        one; Conflict (clip_origin_fixed, clip_digest_fixed) when it contradicts what is there."""
        register.register(self._core, record)

    def register_store(
        self, uri: str, kind: Literal["cache", "output"], *, tenant: str | None = None
    ) -> None:
        """Say where clips will lie, before any does: a door's cache, or a job's output folder. Deletion searches
        every place named here. `tenant` None: all tenants share it. Idempotent."""
        stores.register(self._core, uri, kind, tenant)

    def find_clip(self, tenant: str, clip_id: str) -> ClipRecord | None:
        return register.find(self._core, tenant, clip_id)

    def get(self, by: Principal, clip_id: str) -> ClipRecord:
        """Raises NotFound, for another grantee's clip too; refuses (GrantRevoked) nothing here: the caller looks
        at `state` and `standing`."""
        return register.show(self._core, by, clip_id)

    def release(self, by: Principal, clip_id: str, audio_sha256: str = "") -> ClipRecord:
        """Before a stored clip goes out once more: audited, either way; with the digest of a file that is not the
        registered one. Raises NotFound, or GrantRevoked when its consent no longer stands."""
        return register.release(self._core, by, clip_id, audio_sha256)

    def standing(
        self, clip_id: str, consent_id: str | None, consent_version: int | None
    ) -> tuple[Standing, float]:
        return register.standing(self._core, clip_id, consent_id, consent_version)

    def knows_clip(self, clip_id: str, audio_sha256: str) -> bool | None:
        return register.knows(self._core, clip_id, audio_sha256)

    def logged_at(self, clip_id: str, audio_sha256: str) -> float | None:
        return closings.logged_at(self._core, clip_id, audio_sha256)

    def marked_clip(self, mark: WatermarkTag) -> ClipRecord | None:
        return register.marked(self._core, mark)

    def watermark_keys(self) -> dict[int, bytes]:
        return watermarks.keys(self._core)

    def wrap_key(self, tenant: str, data_key: bytes, aad: bytes) -> bytes:
        """Encrypt the 32-byte key of a stored clip under its tenant's, bound to `aad`. For the gate, as the next."""
        return data_keys.wrap(self._core, tenant, data_key, aad)

    def unwrap_key(self, tenant: str, wrapped: bytes, aad: bytes) -> bytes:
        """Reverse of `wrap_clip_key`. Raises VaultError when it is of another tenant or clip."""
        return data_keys.unwrap(self._core, tenant, wrapped, aad)
