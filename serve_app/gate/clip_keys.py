"""Data keys of stored clips: one per clip, wrapped under its tenant's key, bound to tenant and clip."""

from __future__ import annotations

import secrets

from consent_service.service import ConsentService


class ClipKeys:
    """Runs in the gate, where the ledger and its keys are; the ingress only ever holds the key of the clip in hand."""

    def __init__(self, service: ConsentService) -> None:
        self._service = service

    def new(self, tenant: str, clip_id: str) -> tuple[bytes, bytes]:
        """A fresh AES-256 key and its wrapped form."""
        data_key = secrets.token_bytes(32)
        return data_key, self._service.clips.wrap_key(tenant, data_key, _aad(tenant, clip_id))

    def open(self, tenant: str, clip_id: str, wrapped: bytes) -> bytes:
        """Raises VaultError when the wrapped key belongs to another tenant or clip."""
        return self._service.clips.unwrap_key(tenant, wrapped, _aad(tenant, clip_id))


def _aad(tenant: str, clip_id: str) -> bytes:
    return f"vouch clip v1|{tenant}|{clip_id}".encode()
