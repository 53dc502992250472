"""Consent receipts (after ISO/IEC TS 27560:2023): canonical JSON (RFC 8785), signed with Ed25519. Pure.

A receipt is what the person who lent the voice takes home. It names them by a number only, and says what was
allowed, to whom, until when, where it stands in the audit log, and that it can be withdrawn. It is JSON-LD and carries
its context (`vocabulary`), so that nothing is fetched to read it. It verifies offline, against the public key that the
organisation publishes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consent_service.errors import ProofInvalid
from consent_service.proofs.trust import TrustedKeys

RECEIPT_TYPE: Final = "vouch.consent-receipt.v1"
MAX_BYTES: Final = 1 << 20  # far above any receipt; what is longer is not read


def sign_receipt(body: Mapping[str, Any], sign: Callable[[bytes], tuple[str, bytes]]) -> str:
    """One line of canonical JSON: the body and its signature. `sign` returns (key id, 64 bytes)."""
    signed = {**body, "type": RECEIPT_TYPE}
    return _render(signed, *sign(rfc8785.dumps(signed)))


def verify_receipt(receipt: str | bytes, keys: TrustedKeys | Mapping[str, bytes]) -> dict[str, Any]:
    """The receipt's body. `keys`: the trusted ones of the tenant, by which the checkpoint that the receipt rests on is
    verified too, and that its key had not been superseded by then; or key id → 32 raw bytes, for the signature alone.
    Raises ProofInvalid on any change."""
    public_keys = keys.statements if isinstance(keys, TrustedKeys) else keys
    if len(receipt) > MAX_BYTES:
        raise ProofInvalid("not a receipt: it is far too long")
    try:
        text = receipt if isinstance(receipt, str) else receipt.decode()
        document = json.loads(text)
        body, proof = dict(document["receipt"]), document["signature"]
        kid, signature = proof["kid"], base64.b64decode(proof["value"], validate=True)
        raw, message = public_keys[kid], rfc8785.dumps(body)
        # Whatever is not exactly what was written (a member too many, a space) has been touched.
        exact = _render(body, kid, signature) == text and body["type"] == RECEIPT_TYPE
    except (ValueError, KeyError, TypeError, RecursionError, rfc8785.CanonicalizationError) as exc:
        raise ProofInvalid("not a receipt, or signed by a key that is not trusted here") from exc
    if not exact:
        raise ProofInvalid("the receipt is not in canonical form")
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
    except InvalidSignature as exc:
        raise ProofInvalid("the receipt's signature does not verify") from exc
    if isinstance(keys, TrustedKeys):
        keys.verify_resting_on(_checkpoint_of(body), text)
    return body


def _checkpoint_of(body: Mapping[str, Any]) -> str:
    try:
        return str(body["audit"]["checkpoint"])
    except (KeyError, TypeError) as exc:
        raise ProofInvalid("the receipt does not say where the log tells of it") from exc


def _render(signed: Mapping[str, Any], key_id: str, signature: bytes) -> str:
    proof = {"alg": "Ed25519", "kid": key_id, "value": base64.b64encode(signature).decode("ascii")}
    return rfc8785.dumps({"receipt": dict(signed), "signature": proof}).decode()
