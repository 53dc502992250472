"""Data keys of stored clips: wrapped under one key of their tenant, which is wrapped as a voice's is.

A tenant stores clips by the million: with a KMS, each would cost a call, and a rotation would have to touch
every one of them. So there is a key in between, which is opened once, stays in this process's memory, and is all that
a rotation rewraps. It opens clips, which left the house marked, and no recording.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consent_service.core import Core
from consent_service.errors import VaultError

_NONCE_BYTES: Final = 12
_NAME_BYTES: Final = 8


def wrap(core: Core, tenant: str, data_key: bytes, aad: bytes) -> bytes:
    """The name of the tenant's key, nonce, ciphertext. Raises NotFound for a tenant that does not exist."""
    key, nonce = _tenant_key(core, tenant), secrets.token_bytes(_NONCE_BYTES)
    return _name(key) + nonce + AESGCM(key).encrypt(nonce, data_key, _bound(tenant, aad))


def unwrap(core: Core, tenant: str, wrapped: bytes, aad: bytes) -> bytes:
    """Reverse of `wrap`. Raises VaultError when it is of another tenant, or bound to something else."""
    key = _tenant_key(core, tenant)
    name, rest = wrapped[:_NAME_BYTES], wrapped[_NAME_BYTES:]
    if name != _name(key):  # of before there were keys of tenants
        return core.keys.unwrap_key(wrapped, aad)
    try:
        return AESGCM(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], _bound(tenant, aad))
    except (InvalidTag, ValueError) as exc:
        raise VaultError("a stored clip's key is damaged, or is not this clip's") from exc


def _tenant_key(core: Core, tenant: str) -> bytes:
    held = core.vault.clips_key(tenant)
    if held is None:
        with core.write_as(tenant):  # of two processes at once, one makes it
            if core.vault.clips_key(tenant) is None:
                core.vault.create_clips_key(tenant)
        held = core.vault.clips_key(tenant)
    if held is None:
        raise VaultError("the tenant's key of stored clips could not be made")
    return held


def _name(key: bytes) -> bytes:
    return hashlib.sha256(b"vouch.clips\0" + key).digest()[:_NAME_BYTES]


def _bound(tenant: str, aad: bytes) -> bytes:
    return b"vouch.clip-key.v2\0" + tenant.encode() + b"\0" + aad
