"""Verified grants for tests: signed with a fresh Ed25519 key and put through the real verifier."""

from __future__ import annotations

import secrets
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_service.grants import Basis, Grant, GrantVerifier, Utterance, VerifiedGrant, sign_grant

_KEY = Ed25519PrivateKey.generate()
_KEY_ID = "test-grant-key"


def granted(
    said: Utterance,
    *,
    voice_id: str = "voice-a",
    voice_epoch: int = 0,
    basis: Basis = Basis.CONSENT,
    tenant: str = "acme",
    purpose: str = "narration",
) -> VerifiedGrant:
    """A grant for exactly this utterance, good for half a minute."""
    now = time.time()
    with_consent = basis is Basis.CONSENT
    grant = Grant(
        grant_id=secrets.token_hex(16),
        clip_id=secrets.token_hex(16),
        tenant=tenant,
        grantee="acme-audio",
        key_id="key-1",
        basis=basis,
        voice_id=voice_id,
        voice_epoch=voice_epoch,
        consent_id="consent-1" if with_consent else None,
        consent_version=1 if with_consent else None,
        purpose=purpose,
        said_digest=said.digest(),
        language=said.language,
        characters=said.characters,
        issued_at=now,
        start_by=now + 30,
        valid_until=now + 3600 if with_consent else None,
    )
    token = sign_grant(grant, key_id=_KEY_ID, sign=_KEY.sign)
    return GrantVerifier({_KEY_ID: _KEY.public_key().public_bytes_raw()}).verify(token, said)
