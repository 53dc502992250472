"""New keys, in the form in which files keep them."""

from __future__ import annotations

import secrets
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_service.keys.box import Sealer
from consent_service.keys.certificates import Root
from consent_service.keys.manifest import MANIFEST_FILE, ROOT_FILE, issue_leaf, seal_root
from consent_service.keys.ring import SECRET_BYTES, SIGNING, KeyRing, Ring, RingKey, key_id


def new_key(sealer: Sealer, ring: Ring, *, from_epoch: int = 1) -> tuple[str, RingKey]:
    """A fresh key and its id."""
    if ring in SIGNING:
        signer = Ed25519PrivateKey.generate()
        secret, public = signer.private_bytes_raw(), signer.public_key().public_bytes_raw()
    else:
        secret, public = secrets.token_bytes(SECRET_BYTES), None
    return key_id(secret), RingKey(sealer.seal(ring.file, secret), public, from_epoch=from_epoch)


def new_ring(sealer: Sealer, ring: Ring) -> bytes:
    """The content of a new ring's file."""
    return KeyRing.of(*new_key(sealer, ring)).to_bytes()


def new_files(sealer: Sealer, root: Root, now: datetime) -> dict[str, bytes]:
    """Every file of a new set of keys."""
    return {
        **{ring.file: new_ring(sealer, ring) for ring in Ring},
        ROOT_FILE: seal_root(sealer, root),
        MANIFEST_FILE: issue_leaf(sealer, root, now),
    }
